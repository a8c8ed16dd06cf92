"""A body that catches the exception that stops it, as it would a device's failure, is stopped nevertheless."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db import DataError

from jobs.body import cells, posix_signals
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, Participant
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job, result_of

pytestmark = pytest.mark.django_db(transaction=True)


@job(autoretry_for=(Exception,))
def reports_whatever_is_raised(ctx: JobContext, *, then: str) -> dict[str, str]:
    def step(host: str) -> None:
        if host == "sw2":
            transitions.abort(ctx.job_id, reason="enough", by="ann")
        ctx.checkpoint()

    said = {}
    for host in ("sw1", "sw2", "sw3"):
        try:
            step(host)
            said[host] = "done"
        except Exception as exc:
            said[host] = type(exc).__name__
            if then == "raises":
                raise ConnectionError(host) from exc
            if then == "retries":
                ctx.retry(exc=exc)
    if then == "exits":
        raise SystemExit(1)
    return said


@pytest.mark.parametrize("then", ["returns", "raises", "retries", "exits"])
def test_a_body_that_catches_its_abort_ends_as_aborted(then: str) -> None:
    row = perform_job(reports_whatever_is_raised, then=then)
    assert (row.status, row.exception_type) == (Status.EXCEPTION, "JobAborted")
    stored = exception_of(row)
    assert stored is not None
    assert stored["message"] == "enough (aborted by ann)"
    assert ("ConnectionError: sw2" in stored["traceback"]) is (then == "raises")  # what it made of it is shown too
    said = {"sw1": "done", "sw2": "JobAborted", "sw3": "JobAborted"}
    assert result_of(row) == (said if then == "returns" else None)


@job
def catches_the_end_of_each(ctx: JobContext, *, end: str | None = None, retries: bool = False) -> str:
    def step(host: str) -> None:
        if end is not None:
            Fleet.objects.update(end=end)
        elif not retries:
            transitions.abort(ctx.job_id, reason="enough", by="ann")

    try:
        ctx.each(["sw1", "sw2"], step, at_once=1)
    except Exception as exc:  # noqa: BLE001  as authors do
        if retries:
            with suppress(Exception):
                ctx.retry(countdown=60)
        return f"{type(exc).__name__}: {exc}"
    return "no end"


def test_a_body_that_catches_the_abort_of_ctx_each_ends_as_aborted() -> None:
    row = perform_job(catches_the_end_of_each)
    assert (row.exception_type, result_of(row)) == ("JobAborted", "JobAborted: enough (aborted by ann)")


def test_a_body_that_catches_the_end_that_another_participant_met_ends_by_it() -> None:
    row = perform_job(catches_the_end_of_each, end=Failure(type="TimeLimitExceeded", message="too long").as_json())
    assert (row.exception_type, result_of(row)) == ("TimeLimitExceeded", "EndMet: too long")


def test_a_body_that_catches_what_ended_ctx_each_early_ends_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise DataError("it can't be stored")

    monkeypatch.setattr(store(), "take_devices", refuses)
    row = perform_job(catches_the_end_of_each)
    assert (row.exception_type, result_of(row)) == ("DataError", "DataError: it can't be stored")
    assert perform_job(catches_the_end_of_each, retries=True).status == Status.SCHEDULED
    assert not Participant.objects.exists()


@pytest.fixture
def cell() -> Iterator[int | None]:
    """As in a pool child."""
    cells.allocate()
    before = [(number, signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGTERM)]
    posix_signals.install()
    yield (found := cells.take())
    for number, handler in before:
        signal.signal(number, handler)
    if found is not None:
        cells.give_back(found)


@job(soft_time_limit=60)
def catches_the_soft_limit(ctx: JobContext, *, then: str) -> list[Any]:
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
    except Exception as exc:  # noqa: BLE001
        heard: list[Any] = [type(exc).__name__, ctx.stopping, ctx.next_stop(0)]
    if then == "goes on":
        ctx.checkpoint()
    return heard


@pytest.mark.parametrize("then", ["goes on", "returns"])
def test_a_body_that_catches_the_soft_time_limit_ends_by_it(cell: int | None, then: str) -> None:
    row = catches_the_soft_limit.schedule(then=then)
    task = current_app.tasks[row.task_name]
    build_tracer(task.name, task, app=current_app)("m", (row.pk,), {}, {"id": "m", "hostname": "here", "cell": cell})
    row = Job.objects.get(pk=row.pk)
    assert (row.status, row.exception_type) == (Status.EXCEPTION, "TimeLimitExceeded")
    assert result_of(row) == (["SoftTimeLimitExceeded", True, True] if then == "returns" else None)
