"""Configurations from templates: Jinja2 files below ``CNAASJOBS_TEMPLATES``, rendered in separate processes.

A template may be wrong or hostile: it runs in Jinja2's sandbox, in a process without the platform's environment whose
time and memory the kernel limits (``child``). Files are read here, never there (``templates``).
"""

from cnaasjobs.conf import conf
from devices.rendering import templates
from devices.rendering.failures import TemplateFailure
from devices.rendering.rendered import RenderedAhead, render
from devices.rendering.renderers import pool

__all__ = ["RenderedAhead", "TemplateFailure", "read_anew", "refresh", "render", "warm_up"]

refresh = templates.refresh


def warm_up() -> None:
    """Call when a job that will render starts. What takes long to start is begun, and not waited for."""
    pool().warm(memory_mb=conf.render_memory_mb)


def read_anew() -> None:
    """Look at what there is now, for each platform that has a mapping.

    Raises:
        TemplateFailure: it can't be read.
    """
    templates.forget()
    for platform in templates.platforms():
        templates.platform_named(platform).read_mapping()
