"""Configurations from templates: Jinja2 files below ``CNAASJOBS_TEMPLATES``, rendered in separate processes.

A template may be wrong or hostile: it runs in Jinja2's sandbox, in a process without the platform's environment whose
time and memory the kernel limits (``child``). Files are read here, never there (``templates``).
"""

import itertools
from typing import Final

from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices.rendering import templates
from devices.rendering.child import Request
from devices.rendering.failures import TemplateFailure
from devices.rendering.renderer import MB, StillWanted
from devices.rendering.renderers import pool
from devices.selection import device_type

__all__ = ["TemplateFailure", "read_anew", "refresh", "render"]

_LENGTH: Final = 1000  # characters of a reason

_jobs = itertools.count(1)
_job = 0


def refresh(*, devices: int = 1) -> None:
    """Call when a job starts, with the number of its devices: templates that changed are read again."""
    global _job
    _job = next(_jobs)
    templates.refresh()
    pool().warm(devices, memory_mb=conf.render_memory_mb)


def read_anew() -> None:
    """Look at what there is now, for each platform that has a mapping.

    Raises:
        TemplateFailure: it can't be read.
    """
    templates.forget()
    for platform in templates.platforms():
        templates.platform_named(platform).read_mapping()


def render(host: Host, secrets: Secrets, wanted: StillWanted = lambda: None) -> str:
    """The configuration of one device, with its secrets in clear text.

    Args:
        wanted: called now and then while it takes long; what it raises ends the rendering and is passed on.

    Raises:
        TemplateFailure: a template is missing, broken, or needs something that the inventory does not have; or it takes
        more time, memory or output than allowed.
    """
    platform = templates.platform_named(host.platform)
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
        job=_job,
        generation=templates.generation(),
        seconds=conf.render_seconds,
        max_bytes=conf.render_output_mb * MB,
    )
    shared = {id(data): data for data in (*below, secrets.variables)}
    try:
        with pool().renderer(memory_mb=conf.render_memory_mb, wanted=wanted) as renderer:
            return renderer.render(request, shared, platform.source, wanted)
    except TemplateFailure as failure:
        raise TemplateFailure(" ".join(secrets.mask(str(failure)).split())[:_LENGTH]) from failure
    except OSError as exc:
        raise TemplateFailure(f"no process to render it could be started: {exc.strerror}") from exc
