"""Results as a page shows them: by the view of their task, otherwise as indented JSON; cut where they get too long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from jobs.admin_pages.toolkit.long_text import SHOWN, Cut, pretty
from jobs.result_views import careful, view_of


@dataclass(frozen=True, kw_only=True)
class ShownResult:
    """A result as the page shows it: by its own template, or as text."""

    size: int  # characters, of the whole
    by_view: SafeString | None = None
    text: Cut | None = None


def shown(stored: str, *, size: int, task_name: str, around: Mapping[str, Any]) -> ShownResult:
    """Args:
    stored: the JSON text, or its beginning.
    size: the length of the whole.
    around: what a template finds beside its own ``page``.
    """
    if len(stored) < size:  # the beginning of a JSON text is not JSON
        return ShownResult(size=size, text=Cut(stored[:SHOWN], size - min(SHOWN, len(stored))))
    by_view = _by_view(stored, task_name, around)
    return ShownResult(size=size, by_view=by_view, text=None if by_view else pretty(stored, limit=SHOWN))


def _by_view(stored: str, task_name: str, around: Mapping[str, Any]) -> SafeString | None:
    found = view_of(task_name).on_page(stored)
    if found is None:
        return None
    return careful(task_name, lambda: render_to_string(found.template, {**around, "page": found.context}), None)
