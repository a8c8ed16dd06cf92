"""How a job's result is read by the app of its task, which knows more about it than that it is JSON.

The app registers a view for its task when Django is ready. Without one the API returns a result as it is stored, and
the admin shows it as indented JSON.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import Error as DatabaseError

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.models import Job

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class OnPage:
    """A result on its job's page in the admin: a template, in which ``page`` is the context given here."""

    template: str
    context: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of what a job reported of one device."""

    title: str
    text: str
    is_diff: bool = False


class ResultView:
    """The view of a task's results. This base class knows nothing about them; subclasses do."""

    parts: tuple[str, ...] = ()
    """What a client of the API may leave out of them: ``filter_jobresult=config,diff``."""

    def without(self, stored: str, parts: Collection[str]) -> str:
        """The JSON text without these ``parts``. A task's old results may have any form."""
        return stored

    def changed_devices(self, job: Job) -> list[str]:
        """The names of the devices that an ended job changed; of these live events tell."""
        return []

    def on_page(self, stored: str) -> OnPage | None:
        """None for a result of an unexpected form: it is shown like any other."""
        return None

    def sections(self, report: Any) -> list[Section] | None:
        """One device's report in parts, the most telling first. None if its form is unexpected: it is shown as JSON."""
        return None


_KNOWS_NOTHING = ResultView()
_views: dict[str, ResultView] = {}


def register(task_name: str, view: ResultView) -> None:
    _views[task_name] = view


def registered() -> list[str]:
    return [*_views]


def view_of(task_name: str) -> ResultView:
    view = _views.get(task_name)
    return _KNOWS_NOTHING if view is None else _Careful(task_name, view)


def careful(task_name: str, ask: Callable[[], T], otherwise: T) -> T:
    """What an app makes of a result; ``otherwise`` where its code fails, as a page and a feed have other jobs too."""
    try:
        return ask()
    except DatabaseError:
        raise
    except Exception as exc:  # noqa: BLE001  whatever that code raises
        record(JobAction.RESULT_VIEW_FAILED, exc=exc, task=task_name)
        return otherwise


class _Careful(ResultView):
    """An app's view. Where it fails, a result is shown as if there were none."""

    def __init__(self, task_name: str, view: ResultView) -> None:
        self._task_name, self._view = task_name, view
        self.parts = view.parts

    def without(self, stored: str, parts: Collection[str]) -> str:
        return careful(self._task_name, lambda: _text(self._view.without(stored, parts)), stored)

    def changed_devices(self, job: Job) -> list[str]:
        return careful(self._task_name, lambda: [*map(_text, self._view.changed_devices(job))], [])

    def on_page(self, stored: str) -> OnPage | None:
        return careful(self._task_name, lambda: self._view.on_page(stored), None)

    def sections(self, report: Any) -> list[Section] | None:
        return careful(self._task_name, lambda: self._view.sections(report), None)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is not text")
    return value


def all_parts() -> list[str]:
    """The parts of the results of all tasks, in the order of registration."""
    return list(dict.fromkeys(part for view in _views.values() for part in view.parts))
