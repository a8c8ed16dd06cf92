"""If code of a job's author raises, the request gets a readable answer wherever it is called, and the log has it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from cnaasjobs.events import Event
from jobs import follow_ups
from jobs.actions import JobAction
from jobs.authors import refusing
from jobs.errors import JobArgumentError, JobError
from jobs.models import Job
from jobs.rights import selected
from tests import fake_jobs

pytestmark = pytest.mark.django_db


class Broken(follow_ups.FollowUps):
    def __getattribute__(self, name: str) -> Any:
        raise KeyError("site")


def broken(*_: Any, **__: Any) -> Any:
    raise KeyError("site")


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> str:
    """A job whose author knows nothing well."""
    name = str(fake_jobs.echo.name)
    monkeypatch.setitem(selected._selects, name, broken)
    monkeypatch.setitem(follow_ups._known, name, Broken())
    return name


ASKED: list[tuple[Callable[[str], Any], str]] = [
    (lambda name: selected.devices_of(name, {}), "the function registered for the devices of"),
    (lambda name: follow_ups.of(name).require_there({}), "the function registered for what follows"),
    (lambda name: follow_ups.of(name).on_the_failed(Job()), "the function registered for what follows"),
    (lambda name: follow_ups.of(name).as_shown(Job()), "the function registered for what follows"),
]


@pytest.mark.parametrize(("ask", "what"), ASKED)
def test_what_an_app_has_registered_and_raises_is_named(
    echo: str, ask: Callable[[str], Any], what: str, heard: list[Event]
) -> None:
    with pytest.raises(JobError, match=f"^{what} {echo} failed with KeyError; the log has the traceback$"):
        ask(echo)
    assert [event.action for event in heard] == [JobAction.AUTHORS_CODE_FAILED]


def test_a_page_offers_no_follow_up_if_the_code_for_it_raises(echo: str) -> None:
    known = follow_ups.of(echo)
    assert (known.may_apply(Job()), known.knows_failed()) == (False, False)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"check": broken}, "the check of {} failed with KeyError; the log has the traceback"),
        ({"approval": broken}, "the approval of {} failed with KeyError; the log has the traceback"),
        ({"approval": lambda *_: True}, "the approval of {} failed with TypeError; the log has the traceback"),
    ],
)
def test_a_check_of_a_job_that_raises_refuses_it_with_its_name(
    given: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = fake_jobs.guarded
    for name, function in given.items():
        monkeypatch.setattr(task, name, function)
    with pytest.raises(JobArgumentError, match=f"^{words.format(task.name)}$"):
        task.schedule()
    assert not Job.objects.exists()


def test_that_the_database_is_away_is_not_its_fault() -> None:
    with pytest.raises(OperationalError), refusing("the check of all", JobArgumentError):
        raise OperationalError("the server closed the connection")
