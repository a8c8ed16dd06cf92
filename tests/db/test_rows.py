"""Rows that are copied from another are equal to those that Django would have made."""

from django.db.models import Model

from cnaasjobs.db.clock import DatabaseNow
from cnaasjobs.db.rows import like
from jobs.models import Job


def _fields(row: Model) -> dict[str, object]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def test_it_is_as_django_would_make_it() -> None:
    same = {"task_name": "a task", "queue": "default", "scheduled_time": DatabaseNow(), "lock_name": None}
    made = like(Job(**same), function_name="one", start_arguments='{"a": 1}')
    by_django = Job(**same, function_name="one", start_arguments='{"a": 1}')
    assert type(made) is Job
    assert _fields(made) == _fields(by_django)
    assert vars(made._state) == vars(by_django._state)


def test_what_happens_to_one_happens_to_no_other() -> None:
    first = Job(task_name="a task")
    one, other = like(first), like(first)
    one.pk, one.task_name, one._state.adding, one._state.db = 5, "another", False, "default"
    for row in (first, other):
        assert _fields(row) == _fields(Job(task_name="a task"))
        assert vars(row._state) == vars(Job()._state)
