"""A safe point waits while the database is away, and no longer than the run may go on."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, ProgrammingError, connection

from cnaasjobs.events import Event, subscribe, unsubscribe
from jobs.actions import JobAction
from jobs.body import context
from jobs.body.context import JobContext
from jobs.body.execution import Execution
from jobs.dispatch import schedule
from jobs.errors import JobAborted, LockLost, TimeLimitExceeded
from jobs.states import Status
from jobs.testing import perform
from tests import fake_jobs
from tests.factory import claimed
from tests.switching import database_fails
from tests.waiting import stays

pytestmark = pytest.mark.django_db(transaction=True)

Then = Callable[[Callable[[], object]], list[Event]]


@pytest.fixture
def ctx(monkeypatch: pytest.MonkeyPatch) -> JobContext:
    monkeypatch.setattr(context, "_RETRY_SECONDS", 0.01)
    return JobContext(claimed(fake_jobs.with_lock.schedule()))


@pytest.fixture
def at_the_second_wait() -> Iterator[Then]:
    """Calls a function when a safe point has waited twice; what it said is in the list."""
    with ExitStack() as over:

        def begin(call: Callable[[], object]) -> list[Event]:
            said: list[Event] = []

            def seen(event: Event) -> None:
                if event.action is JobAction.CHECKPOINT_WAITS:
                    said.append(event)
                    if len(said) == 2:
                        call()

            subscribe(seen)
            over.callback(unsubscribe, seen)
            return said

        yield begin


def test_a_safe_point_passes_when_the_database_is_back(ctx: JobContext, at_the_second_wait: Then) -> None:
    with ExitStack() as away:
        away.enter_context(database_fails())
        said = at_the_second_wait(away.close)
        assert not ctx.holds_lock(), "nobody can say so"
        ctx.checkpoint()
    assert [type(event.fields["error"]) for event in said] == [str, str]
    assert ctx.holds_lock()


def test_what_its_author_may_is_asked_until_the_database_answers_and_once_for_all_its_processes(
    monkeypatch: pytest.MonkeyPatch, admin_user: User
) -> None:
    monkeypatch.setattr(context, "_RETRY_SECONDS", 0.01)
    away = [OperationalError("the connection is lost")] * 2
    monkeypatch.setattr(Execution, "_require_rights", lambda *_: _raised(away))
    assert perform(schedule(fake_jobs.nothing, {}, author_id=admin_user.pk)).status == Status.FINISHED
    assert not away
    away.append(OperationalError("nobody asks"))
    run = claimed(schedule(fake_jobs.nothing, {}, author_id=admin_user.pk))
    with contextlib.suppress(RuntimeError):  # it calls no ctx.each, which is another matter
        Execution(run, joined=True).run_body(fake_jobs.nothing)
    assert away


def _raised(errors: list[OperationalError]) -> None:
    if errors:
        raise errors.pop()


def test_whoever_is_told_to_stop_meanwhile_stops(ctx: JobContext, at_the_second_wait: Then) -> None:
    said = at_the_second_wait(lambda: ctx.stop(LockLost("enough")))
    with database_fails(), pytest.raises(LockLost, match="enough"):
        ctx.checkpoint()
    assert len(said) == 2


def test_an_error_that_will_not_pass_is_raised(ctx: JobContext, at_the_second_wait: Then) -> None:
    def wrong(*_: Any) -> Any:
        raise ProgrammingError("no such column")

    said = at_the_second_wait(lambda: ctx.stop(LockLost("it waited")))
    with connection.execute_wrapper(wrong), pytest.raises(ProgrammingError):
        ctx.checkpoint()
    assert not said


def test_the_first_reason_to_stop_stays(ctx: JobContext) -> None:
    ctx.stop(LockLost("the first"))
    ctx.stop(JobAborted("the second"))
    ctx.soft_limit_reached()
    with pytest.raises(LockLost, match="the first"):
        ctx.checkpoint()


def test_patience_with_no_device_in_hand_has_no_end(ctx: JobContext) -> None:
    with ctx.patience(0.0, "reading the templates"):
        ctx.checkpoint()


def struck(ctx: JobContext) -> None:
    """As by a signal's handler, which wakes nobody: the next safe point does."""
    ctx.soft_limit_strikes()
    with pytest.raises(TimeLimitExceeded):
        ctx.checkpoint()


@pytest.mark.parametrize("stop", [lambda ctx: ctx.stop(LockLost("it is gone")), JobContext.soft_limit_reached, struck])
def test_a_thread_that_sleeps_until_the_next_stop_is_woken_by_it(
    ctx: JobContext, stop: Callable[[JobContext], Any]
) -> None:
    assert not ctx.next_stop(0)
    with ThreadPoolExecutor(1) as pool:
        sleeps = pool.submit(ctx.next_stop, 30)
        stays(lambda: not sleeps.done(), seconds=0.1)
        stop(ctx)
        assert sleeps.result(10)
