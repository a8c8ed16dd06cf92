"""The database did its work, and the answer was lost with the connection: every statement may be repeated."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DataError, OperationalError

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.body.context import JobContext
from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason
from jobs.errors import LockLost
from jobs.fleet import asking
from jobs.fleet.kept import Kept
from jobs.lifecycle import transitions
from jobs.models import JobDevice, Participant
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import FleetStanding
from jobs.states import JobDeviceState, Status
from jobs.task import job
from jobs.testing import perform, perform_job, result_of
from locks import service as locks
from tests.fake_jobs import fleets
from tests.fleet.parts import begun, joined

pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = [f"sw{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_RETRY_SECONDS", 0.0)


def loses_answers(monkeypatch: pytest.MonkeyPatch, question: str, every: int) -> list[int]:
    """Of one question in so many the answer is lost. Returns how often it was asked."""
    ask: Callable[..., Any] = getattr(store(), question)
    asked = [0]

    def lossy(*args: Any, **options: Any) -> Any:
        answer = ask(*args, **options)
        asked[0] += 1
        if asked[0] % every == 1 or (every == 1 and asked[0] < 3):
            raise OperationalError("the connection is lost")
        return answer

    monkeypatch.setattr(store(), question, lossy)
    return asked


@pytest.mark.parametrize("question", ["begin_devices", "take_devices", "write_devices", "leave", "show_progress"])
def test_every_device_is_over_once_all_the_same(question: str, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CNAASJOBS_REPORT_SECONDS = settings.CNAASJOBS_PROGRESS_SECONDS = 0.01
    done: list[str] = []
    act = fleets.act

    def noted(device: str) -> Any:
        done.append(device)
        return act(f"{device}=naps:0.02")

    monkeypatch.setattr(fleets, "act", noted)
    taken: list[int] = []
    took = Kept.took

    def noted_too(self: Kept, ids: Iterable[int], *, lasting: bool = False) -> None:
        taken.extend(ids)
        took(self, ids, lasting=lasting)

    monkeypatch.setattr(Kept, "took", noted_too)
    asked = loses_answers(monkeypatch, question, every=2)
    job = perform(scheduling.schedule(fleets.each, {"hosts": HOSTS, "at_once": 3}))
    assert asked[0] > 1
    assert job.status == Status.FINISHED
    assert sorted(done) == sorted(HOSTS)
    assert len(taken) == len(set(taken))  # of one in hand it stays known whether a crash may take it away
    assert list(result_of(job)["devices"]) == HOSTS
    assert sorted(json.loads(job.finished_devices or "")) == sorted(HOSTS)
    assert set(JobDevice.objects.filter(job=job).values_list("state", "failed")) == {(JobDeviceState.DONE.value, False)}
    assert not Participant.objects.exists()
    assert not locks.held().exists()


said: list[str] = []


@job
def says_when_it_leaves(ctx: JobContext) -> None:
    ctx.each(["a", "b"], said.append, at_once=1, leaving=lambda: said.append("leaves"))
    said.append("after")


@pytest.mark.parametrize(("is_lost", "times"), [(False, 1), (True, 2)])
def test_what_is_to_be_stored_before_it_leaves_is_stored_again_where_the_answer_is_lost(
    is_lost: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time it did not wait for the disk, and a crash may have undone it."""
    said.clear()
    if is_lost:
        loses_answers(monkeypatch, "leave", every=2)
    assert perform_job(says_when_it_leaves).status == Status.FINISHED
    assert said == ["a", "b", *["leaves"] * times, "after"]


def test_an_answer_that_was_long_on_its_way_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it took may have been given to others meanwhile, so what this process has by now is asked for."""
    now = [0.0]
    monkeypatch.setattr("jobs.fleet.asking.time.monotonic", lambda: now[0])

    def late() -> str:
        now[0] += 100
        return "late"

    run, _ = begun()
    context = JobContext(run)
    assert asking.until_answered(context.database, late, lambda: "fresh", job_id=run.job_id) == "fresh"
    assert asking.until_answered(context.database, late, job_id=run.job_id) == "late"  # nothing else can be asked


def test_while_the_database_is_away_it_is_asked_again_after_a_moment(
    monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    slept: list[float] = []
    inside: list[bool] = []

    @contextmanager
    def database() -> Iterator[None]:
        inside.append(True)
        yield
        inside.clear()

    def ask() -> str:
        assert inside
        if not slept:
            raise OperationalError("the connection is lost")
        return "there"

    monkeypatch.setattr(asking, "_RETRY_SECONDS", 3.0)
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept.append))
    assert (asking.until_answered(database, ask, job_id=7), slept) == ("there", [3.0])
    (waits,) = [event.fields for event in heard if event.action is JobAction.DEVICES_WAIT]
    assert (waits["job_id"], waits["error"]) == (7, "the connection is lost")


def test_a_process_that_was_taken_for_lost_before_it_heard_that_it_may_begin_begins_no_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, stands = [0.0], store().fleet_standing

    def late(run: Run) -> FleetStanding:
        seen = stands(run)
        if not now[0]:
            now[0] += 100
            assert transitions.lose(run.job_id, run.run_token, type=EndReason.WORKER_LOST, message="gone")
        return seen

    said.clear()
    monkeypatch.setattr(asking, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(store(), "fleet_standing", late)
    assert perform_job(says_when_it_leaves).exception_type == "WorkerLost"
    assert said == ["leaves"]


def test_a_process_that_was_judged_lost_stores_nothing_of_devices_though_the_job_still_has_its_lock() -> None:
    run, _ = begun(take=1)
    context = JobContext(run)
    context.membership.is_on = True
    with context.guarded_by_lock():
        assert context.holds_lock()
    joined(run)
    transitions.lose(run.job_id, run.run_token, type=EndReason.WORKER_LOST, message="gone")
    assert locks.held().exists()
    assert not context.holds_lock()
    with pytest.raises(LockLost), context.guarded_by_lock():
        pytest.fail("it may not")


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_the_database_refuses_for_good_ends_the_job_and_nothing_stays_taken(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CNAASJOBS_REPORT_SECONDS = 0.01

    def refuses(*_: Any, **__: Any) -> None:
        raise DataError("it can't be stored")

    monkeypatch.setattr(store(), "write_devices", refuses)
    hosts = [f"{host}=naps:0.05" for host in HOSTS]
    job = perform(scheduling.schedule(fleets.each, {"hosts": hosts, "at_once": 3, "dry_run": dry_run}))
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "DataError")
    states = set(JobDevice.objects.filter(job=job).values_list("state", "failed"))
    assert result_of(job) == {"devices": {}}  # of those that are lost nobody made a report
    over = JobDevice.objects.filter(job=job, state=JobDeviceState.DONE.value).values_list("host", flat=True)
    assert sorted(json.loads(job.finished_devices or "")) == sorted(over)
    failed = set() if dry_run else {(JobDeviceState.DONE.value, True)}
    assert states == {(JobDeviceState.WAITING.value, False)} | failed
    assert not Participant.objects.exists()
    assert not locks.held().exists()
