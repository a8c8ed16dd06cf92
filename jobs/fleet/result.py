"""The result of a job that goes through devices: made of their reports, which are stored once, in the rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jobs.fleet.reports import Finished
from jobs.outcome import of_devices
from jobs.sql import store
from jobs.sql.device_signature import Tally

COPIED_BYTES: Final = 256 * 1024  # a result up to this size is also stored as a whole, for lists of jobs


@dataclass(frozen=True, kw_only=True)
class Done:
    """What ``ctx.each`` returns: all devices of the job together, whichever process worked on them."""

    devices: int
    failed: int
    max_score: int  # the highest change_score of a device, 0 if none has one


class ResultSoFar:
    """What this process knows of the result, as long as it is little: then the rows need not be read again."""

    def __init__(self) -> None:
        self._reports: dict[str, str] | None = {}
        self._over: list[str] = []  # hosts in their order, without those that were taken back
        self._size = 0

    def forget(self) -> None:
        """Only the rows know the result."""
        self._reports, self._over = None, []

    def add(self, device: Finished) -> None:
        if not device.taken_back:
            self._over.append(device.host)
        if self._reports is not None:
            self._reports[device.host] = device.report
            self._size += len(device.report)
            if self._size > COPIED_BYTES:
                self._reports = None

    def finished(self, job_id: int, tally: Tally) -> list[str]:
        """The hosts that are over, in their order."""
        if len(self._over) != tally.over:
            return store().finished_hosts(job_id)
        return self._over

    def text(self, job_id: int, hosts: Iterable[str], tally: Tally) -> str | None:
        """The whole result; None if it is too long to be stored beside the rows."""
        if tally.size > COPIED_BYTES:
            return None
        if self._reports is None or len(self._reports) != tally.over - tally.unreported:
            return of_devices(store().device_reports(job_id))
        return of_devices((host, self._reports[host]) for host in hosts if host in self._reports)
