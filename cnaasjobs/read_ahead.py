"""What a web server reads at first use: read before it answers, so that an upgrade does not change it half.

A checkout replaces files under a server that goes on running until its restart. A template that it reads only then may
need what the old code does not pass to it, and a module what other old ones do not have.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.forms.renderers import get_default_renderer
from django.template import engines

# Otherwise imported by the settings alone, or by functions.
import cnaasjobs.api.spectacular  # noqa: F401
import jobs.admin_pages.dashboard
import jobs.beat.scheduler
import jobs.broker.plain_results  # noqa: F401
from jobs.task import known_tasks


def read_ahead() -> None:
    known_tasks()
    renderer: Any = get_default_renderer()
    for engine in (*engines.all(), renderer.engine):
        for name in _names(engine):
            with suppress(Exception):  # the page that needs it says what is wrong with it
                engine.get_template(name)


def _names(engine: Any) -> Iterator[str]:
    for directory in engine.template_dirs:
        for place, _, names in os.walk(directory):
            yield from (str(Path(place, name).relative_to(directory)) for name in names)
