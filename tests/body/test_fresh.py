"""An answer that took too long is asked for again, at a safe point and for a claim."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from pytest_django import Settings

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.body.context import JobContext
from jobs.end_reasons import EndReason
from jobs.errors import JobAborted, LockLost
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.testing import perform
from tests import fake_jobs
from tests.factory import claimed
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _soon_lost(settings: Settings) -> None:
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 0.5


def first_is_late(ask: Callable[..., T], meanwhile: Callable[[], object]) -> Callable[..., T]:
    """The first answer arrives when it is no longer true."""
    to_come = [meanwhile]

    def asked(*args: Any, **options: Any) -> T:
        answer, arrives = ask(*args, **options), time.monotonic() + 0.3
        if to_come:
            to_come.pop()()
            wait_until(lambda: time.monotonic() > arrives)
        return answer

    return asked


def take_from(job_id: int) -> None:
    token = Job.objects.get(pk=job_id).run_token
    assert token is not None
    assert transitions.lose(job_id, token, type=EndReason.WORKER_LOST, message="cut off")


def test_a_run_that_was_taken_for_lost_passes_no_safe_point(
    monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    run = claimed(fake_jobs.with_lock.schedule())
    ctx = JobContext(run)
    monkeypatch.setattr(ctx, "_standing", first_is_late(ctx._standing, lambda: take_from(run.job_id)))
    with pytest.raises(LockLost, match="ended by somebody else"):
        ctx.checkpoint()
    (late,) = [event for event in heard if event.action is JobAction.ANSWER_LATE]
    assert (late.fields["job_id"], late.fields["seconds"] >= 0.3) == (run.job_id, True)


def test_a_run_that_was_taken_for_lost_holds_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    run = claimed(fake_jobs.with_lock.schedule())
    ctx = JobContext(run)
    monkeypatch.setattr(ctx, "_standing", first_is_late(ctx._standing, lambda: take_from(run.job_id)))
    assert not ctx.holds_lock()


def test_a_claim_whose_run_was_taken_for_lost_begins_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    job = fake_jobs.echo.schedule(value=1)
    monkeypatch.setattr(transitions, "claim", first_is_late(transitions.claim, lambda: take_from(job.pk)))
    bodies: list[Any] = []
    monkeypatch.setattr(fake_jobs.echo, "run", lambda ctx, **arguments: bodies.append(arguments))
    perform(job)
    job.refresh_from_db()
    assert (job.exception_type, bodies) == ("WorkerLost", [])


def test_the_first_reason_to_stop_stays() -> None:
    ctx = JobContext(claimed(fake_jobs.with_lock.schedule()))
    ctx.stop(JobAborted("enough"))
    ctx.stop(LockLost("it is ending anyway"))
    ctx.soft_limit_reached()
    with pytest.raises(JobAborted, match="enough"):
        ctx.checkpoint()
