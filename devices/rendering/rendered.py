"""Configurations of devices: of one in its turn, and of many ahead of their turn."""

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices.rendering import templates
from devices.rendering.child import Request
from devices.rendering.failures import TemplateFailure
from devices.rendering.renderer import MB, StillWanted
from devices.rendering.renderers import pool
from devices.selection import device_type

_LENGTH: Final = 1000  # characters of a reason
_FEW: Final = 4  # devices. Fewer are left to their threads, for which several processes render at a time


def render(host: Host, secrets: Secrets, wanted: StillWanted = lambda: None) -> str:
    """The configuration of one device, with its secrets in clear text.

    Args:
        wanted: called now and then while it takes long; what it raises ends the rendering and is passed on.

    Raises:
        TemplateFailure: a template is missing, broken, or needs something that the inventory does not have; or it takes
        more time, memory or output than allowed.
    """
    platform = templates.platform_named(host.platform)
    request, shared = _request(host, platform, secrets)
    try:
        with pool().renderer(memory_mb=conf.render_memory_mb, wanted=wanted) as renderer:
            return renderer.render(request, shared, platform.source, wanted)
    except TemplateFailure as failure:
        raise TemplateFailure(" ".join(secrets.mask(str(failure)).split())[:_LENGTH]) from failure
    except OSError as exc:
        raise TemplateFailure(f"no process to render it could be started: {exc.strerror}") from exc


class RenderedAhead:
    """The configurations of one job's devices. Those that are rendered ahead of their turn are sent many at a time.

    Passing one device to another process, and its text back, costs more than most templates: each time Python's lock
    goes to another of the job's threads, which all wait for it.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._texts: dict[str, str] = {}
        self._pays = True

    def render(self, host: Host, wanted: StillWanted) -> str:
        """As ``render``; any thread may call it."""
        text = self._texts.pop(host.name, None)
        return render(host, self._secrets, wanted) if text is None else text

    def expect(self, hosts: Sequence[Host]) -> None:
        """Render these now, as far as that is quick. What is missing is rendered, or fails, in its turn."""
        if self._pays and len(hosts) >= _FEW:
            with contextlib.suppress(OSError, _AllBusy):
                self._pays = self._render(hosts) >= len(hosts) / 2

    def _render(self, hosts: Sequence[Host]) -> int:
        """How many were rendered."""
        count = 0
        orders: defaultdict[templates.Platform, list[Request]] = defaultdict(list)
        shared: dict[int, dict[str, Any]] = {}
        for host in hosts:
            with contextlib.suppress(TemplateFailure):
                platform = templates.platform_named(host.platform)
                request, data = _request(host, platform, self._secrets)
                orders[platform].append(request)
                shared.update(data)
        for platform, requests in orders.items():
            with pool().renderer(memory_mb=conf.render_memory_mb, wanted=_all_busy, pause=0) as renderer:
                found = renderer.render_ahead(requests, shared, platform.source)
            pairs = zip(requests, found, strict=False)  # fewer, if there was no time for more
            texts = {request.host: text for request, text in pairs if text is not None}
            self._texts.update(texts)
            count += len(texts)
        return count


class _AllBusy(Exception):
    """No renderer is free."""


def _all_busy() -> NoReturn:
    raise _AllBusy


def _request(host: Host, platform: templates.Platform, secrets: Secrets) -> tuple[Request, dict[int, dict[str, Any]]]:
    """What a renderer needs for this device, and the data that it shares with others, by number."""
    entrypoint = platform.entrypoint(device_type(host))
    below = [*(group.data for group in host.extended_groups()), host.defaults.data]
    request = Request(
        platform=str(platform.directory),
        entrypoint=entrypoint,
        host=host.name,
        secrets=id(secrets.variables),
        data=host.data,
        below=[id(data) for data in below],
        shared={},
        job=templates.job(),
        generation=templates.generation(),
        seconds=conf.render_seconds,
        max_bytes=conf.render_output_mb * MB,
    )
    shared = {id(data): data for data in (*below, secrets.variables)}
    return request, shared
