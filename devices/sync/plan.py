"""A plan: keyed hashes of what a dry run showed for each device, and whether a live run would change exactly that.

The same rendered configuration makes the same change on a device that runs the same. So these two are compared, and not
the diffs, which some devices show differently each time. Only if the running configuration can't be read or recognised
must the diff be the same instead.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices.sync.known import Fingerprint, digest, matches
from devices.sync.words import DeviceFailure
from jobs.models import JobDevice

_MANY = 5000  # hosts in one statement


class PlanGone(Exception):
    """The dry run no longer exists, or was for other devices."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The change of one device: the new configuration, the running one, and the diff."""

    rendered_hash: str
    running: Fingerprint
    diff_hash: str

    @classmethod
    def of(cls, *, rendered: str, running: Fingerprint, diff: str) -> "Shown":
        return cls(rendered_hash=digest(rendered), running=running, diff_hash=digest(diff))

    def is_what(self, *, rendered: str, running: str | None, diff: str) -> bool:
        """Whether the same would be changed now."""
        if not matches(self.rendered_hash, rendered):
            return False
        if running is not None and self.running:
            return self.running.recognises(running)
        return matches(self.diff_hash, diff)

    def as_memo(self) -> dict[str, Any]:
        """What is kept with the device's row. Hashes are numbers: a text might by chance contain a short password, and
        be masked.
        """
        running = self.running.running_hash
        return {
            "rendered": int(self.rendered_hash, 16),
            "running": int(running, 16) if running else None,
            "unstable": [*self.running.unstable],
            "diff": int(self.diff_hash, 16),
        }

    @classmethod
    def from_memo(cls, kept: Mapping[str, Any]) -> "Shown":
        running = "" if kept["running"] is None else _hash(kept["running"])
        return cls(
            rendered_hash=_hash(kept["rendered"]),
            running=Fingerprint(running_hash=running, unstable=tuple(kept["unstable"])),
            diff_hash=_hash(kept["diff"]),
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a dry run showed for the devices of a live run."""

    job_id: int
    shown: Mapping[str, Shown | None]

    @classmethod
    def of(cls, job_id: int, hosts: Sequence[str]) -> "Plan":
        """
        Raises:
            PlanGone: it does not have all of these devices.
        """
        shown: dict[str, Shown | None] = {}
        for start in range(0, len(hosts), _MANY):
            rows = JobDevice.objects.filter(job_id=job_id, host__in=hosts[start : start + _MANY])
            for host, memo in rows.values_list("host", "memo"):
                shown[host] = Shown.from_memo(json.loads(memo)) if memo else None
        if missing := [host for host in hosts if host not in shown]:
            raise PlanGone(f"job {job_id} no longer exists, or did not show {missing[0]}: make a new dry run")
        return cls(job_id=job_id, shown=shown)

    def require(self, host: str, *, rendered: str, running: str | None, diff: str) -> None:
        """
        Raises:
            DeviceFailure: this device would not be changed as the dry run showed.
        """
        shown = self.shown[host]
        if shown is None or not shown.is_what(rendered=rendered, running=running, diff=diff):
            why = ", which has no diff for this device" if shown is None else ""
            raise DeviceFailure(f"the change would differ from what job {self.job_id} showed{why}")


def _hash(number: int) -> str:
    return f"{number:064x}"
