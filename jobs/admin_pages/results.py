"""Results as a page shows them: by the view of their task, otherwise as indented JSON; cut where they get too long."""

from dataclasses import dataclass

from jobs.admin_pages.toolkit.long_text import SHOWN, Cut, pretty
from jobs.result_views import OnPage, view_of


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A result as the page shows it: by its own template, or as text."""

    size: int  # characters, of the whole
    by_view: OnPage | None = None
    text: Cut | None = None


def shown(stored: str, *, size: int, task_name: str) -> Shown:
    """Args:
    stored: the JSON text, or its beginning.
    size: the length of the whole.
    """
    if len(stored) < size:  # the beginning of a JSON text is not JSON
        return Shown(size=size, text=Cut(stored[:SHOWN], size - min(SHOWN, len(stored))))
    by_view = view_of(task_name).on_page(stored)
    return Shown(size=size, by_view=by_view, text=None if by_view else pretty(stored, limit=SHOWN))
