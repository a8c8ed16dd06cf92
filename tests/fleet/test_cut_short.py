"""A participant that must end begins no device, and those in progress stop at their next safe point."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError

from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.run import Run
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform_job
from locks import service as locks
from tests.fleet.parts import lose

pytestmark = pytest.mark.django_db(transaction=True)

seen: list[Any] = []
raised: list[str] = []


@pytest.fixture(autouse=True)
def _anew() -> None:
    seen.clear()
    raised.clear()


def is_aborted(ctx: JobContext) -> None:
    transitions.abort(ctx.job_id, reason="enough", by="operator")


def loses_its_lock(ctx: JobContext) -> None:
    locks.clear("devices", who="operator", origin="test", user=None)


def is_taken_for_lost(ctx: JobContext) -> None:
    lose(Run.of(Job.objects.get(pk=ctx.job_id)))


happens: dict[str, Callable[[JobContext], None]] = {
    "JobAborted": is_aborted,
    "LockLost": loses_its_lock,
    "WorkerLost": is_taken_for_lost,
}


@job(lock="devices")
def comes_too_late(ctx: JobContext, *, ends: str) -> None:
    happens[ends](ctx)
    try:
        ctx.each(["a", "b"], seen.append)
    except Exception as exc:
        raised.append(type(exc).__name__)
        raise


@pytest.mark.parametrize("ends", happens)
def test_a_run_that_was_stopped_before_it_came_to_its_devices_begins_none(ends: str) -> None:
    ended = perform_job(comes_too_late, ends=ends)
    assert (ended.status, ended.exception_type, seen) == (Status.EXCEPTION, ends, [])
    assert raised == [name for name in (ends,) if name != "WorkerLost"]  # who was taken for lost only leaves


@job(lock="devices")
def in_two_steps(ctx: JobContext) -> None:
    ctx.each(["a", "b"], lambda device: None, seen.append, all_or_none=True)


def test_one_that_is_stopped_while_nothing_is_in_hand_ends(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Nor is anything to be written, by which it would be told."""
    settings.CNAASJOBS_REPORT_SECONDS = 0.01
    monkeypatch.setattr("jobs.fleet.each.LOOK_SECONDS", 0.01)
    decide, asked = store().decide, [0]

    def aborted_just_before(run: Run, step: int, **more: Any) -> Any:
        asked[0] += 1
        assert asked[0] < 100  # it must not ask for ever
        if asked[0] == 1:
            transitions.abort(run.job_id, reason="enough", by="operator")
        return decide(run, step, **more)

    monkeypatch.setattr(store(), "decide", aborted_just_before)
    ended = perform_job(in_two_steps)
    assert (ended.status, ended.exception_type, seen) == (Status.EXCEPTION, "JobAborted", [])
    assert asked[0] < 100  # the abort hides what the body raises


@job(lock="devices")
def waits_for_its_end(ctx: JobContext) -> None:
    def one(device: str) -> None:
        if device == "b":
            seen.append(ctx.next_stop(30))

    ctx.each(["a", "b"], one, at_once=2)


def test_where_the_job_fails_a_device_in_hand_is_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise DataError("it can't be stored")

    monkeypatch.setattr(store(), "write_devices", refuses)
    ended = perform_job(waits_for_its_end)
    assert (ended.status, ended.exception_type, seen) == (Status.EXCEPTION, "DataError", [True])
