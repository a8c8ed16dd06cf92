"""Which devices run what they should: the configuration that we last committed is the one that they would get now.

To know that, a device's configuration must be rendered. The result is remembered by its keyed hash until the inventory,
the templates or the secrets change, so that asking for a list again costs one query.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from nornir.core.inventory import Host, Inventory

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices import rendering
from devices.models import DeviceState
from devices.rendering import TemplateFailure, templates
from devices.sync.known import digest

_MANY: Final = 5000  # hosts in one statement


def synchronized(hosts: Sequence[Host], inventory: Inventory) -> dict[str, bool]:
    """Whether each host is in sync, by its name.

    False also if that is unknown: never committed, uncertain, it can't be rendered, or there was no time left.
    """
    committed = _committed([host.name for host in hosts])
    wanted = [host for host in hosts if host.name in committed]
    digests = _rendered.digests(wanted, inventory) if wanted else {}
    return {host.name: committed.get(host.name, "") in digests.get(host.name, ()) for host in hosts}


def _committed(names: Sequence[str]) -> dict[str, str]:
    """The hash of what was last committed, for the devices for which that is certain."""
    found: dict[str, str] = {}
    for start in range(0, len(names), _MANY):
        rows = DeviceState.objects.filter(host__in=names[start : start + _MANY], uncertain_job_id__isnull=True)
        found |= dict(rows.values_list("host", "rendered_hash"))
    return found


class _TooLate(Exception):
    """The request has no time left for it."""


class _Rendered:
    """One per process: the hashes of what devices would get now, by the present key and the former ones."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._of: tuple[Any, ...] = (None, None)
        self._digests: dict[str, tuple[str, ...]] = {}

    def digests(self, hosts: Sequence[Host], inventory: Inventory) -> dict[str, tuple[str, ...]]:
        """Render as many as the request has time for; the next request goes on from there."""
        deadline = time.monotonic() + conf.read_seconds
        secrets = Secrets.from_environment()
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        if not self._mutex.acquire(timeout=conf.read_seconds):
            return {}
        try:
            rendering.refresh()
            # The inventory itself, not its id(): another object may get that id once this one is gone.
            of = (inventory, secrets, keys, templates.generation())
            if not self._is_of(of):
                self._of, self._digests = of, {}
            for host in hosts:
                if host.name not in self._digests and not self._render(host, secrets, keys, deadline):
                    break
            return {host.name: self._digests[host.name] for host in hosts if host.name in self._digests}
        finally:
            self._mutex.release()

    def _is_of(self, of: tuple[Any, ...]) -> bool:
        return self._of[0] is of[0] and self._of[1] is of[1] and self._of[2:] == of[2:]

    def _render(self, host: Host, secrets: Secrets, keys: Sequence[str], deadline: float) -> bool:
        """Render one host and remember its hashes. False if there is no time."""

        def wanted() -> None:
            if time.monotonic() >= deadline:
                raise _TooLate

        try:
            wanted()
            text = rendering.render(host, secrets, wanted)
        except _TooLate:
            return False
        except TemplateFailure:
            self._digests[host.name] = ()
        else:
            self._digests[host.name] = tuple(digest(text, key=key) for key in keys)
        return True


_rendered: Final = _Rendered()
