"""A participant that has devices in hand before it has threads for them, and what may happen meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from cnaasjobs.db.clock import database_now
from jobs.body.membership import Membership
from jobs.dispatch import scheduling
from jobs.fleet.ahead import Ahead
from jobs.models import Job, JobDevice, Participant
from jobs.run import Run
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform, perform_job, result_of
from tests.fake_jobs import fleets
from tests.fleet.parts import TAKEN, WAITING, Crew, aborted, cleared, lose
from tests.services import PostgreSQL
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Body:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.happens: dict[str, Callable[[JobContext], object]] = {}
        self.mutex = threading.Lock()


_bodies: list[Body] = []


@pytest.fixture
def body() -> Body:
    _bodies.append(Body())
    return _bodies[-1]


@job(lock="devices", helpers=4)
def quick(ctx: JobContext, *, hosts: list[str], at_once: int, dry_run: bool = False) -> None:
    body = _bodies[-1]

    def one(device: str) -> str:
        with body.mutex:
            body.begun.append(device)
        if device in body.happens:
            body.happens[device](ctx)
        return device

    ctx.each(hosts, one, at_once=at_once, reads_first=True, back=lambda device, why: f"{device} was stopped")


@job(lock="devices", helpers=4)
def together(ctx: JobContext, *, hosts: list[str]) -> None:
    body = _bodies[-1]

    def prepare(device: str) -> None:
        body.begun.append(device)
        body.happens["prepare"](ctx)

    def commit(device: str) -> str:
        return device

    ctx.each(hosts, prepare, commit, at_once=2, all_or_none=True)


def hosts(count: int) -> list[str]:
    return [f"sw{number:02}" for number in range(count)]


def performed(count: int, *, at_once: int = 1) -> Job:
    return perform(scheduling.schedule(quick, {"hosts": hosts(count), "at_once": at_once}))


def held(ctx: JobContext) -> bool:
    """Whether it has a device that no thread has begun."""
    with ctx.database():
        return JobDevice.objects.filter(state=WAITING, participant__isnull=False).exists()


def left(job: Job) -> list[tuple[str, Any]]:
    return list(JobDevice.objects.filter(job=job, state=WAITING).order_by("place").values_list("host", "participant"))


@pytest.fixture
def takings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many devices each statement asked for: to begin, and ahead of that."""
    asked: list[tuple[int, int]] = []
    take = store().take_devices

    def counted(run: Run, count: int, *, ahead: int = 0, **more: Any) -> Any:
        asked.append((count, ahead))
        assert more["lasting"] or not ahead  # no thread waits for these
        return take(run, count, ahead=ahead, **more)

    monkeypatch.setattr(store(), "take_devices", counted)
    return asked


def test_quick_devices_are_taken_by_the_dozen(body: Body, takings: list[tuple[int, int]]) -> None:
    ended = performed(60, at_once=4)
    assert (ended.status, list(result_of(ended)["devices"])) == (Status.FINISHED, hosts(60))
    assert sorted(body.begun) == hosts(60)
    assert len(takings) <= 25
    assert JobDevice.objects.filter(start_time__lte=F("finish_time")).count() == 60


def test_none_is_taken_ahead_where_devices_begin_with_a_change_or_go_together(takings: list[tuple[int, int]]) -> None:
    assert perform_job(fleets.each, hosts=hosts(12), at_once=1).status == Status.FINISHED
    same = [f"{host}=nothing to do" for host in hosts(60)]  # over in the first step
    assert perform_job(fleets.all_or_none, hosts=same, reads_first=True).status == Status.FINISHED
    assert len(takings) >= 12
    assert {ahead for _, ahead in takings} == {0}


def test_while_one_is_being_worked_on_its_row_says_so(body: Body) -> None:
    def lasts(ctx: JobContext) -> None:
        def is_shown() -> bool:
            with ctx.database():
                return JobDevice.objects.filter(host="sw05", state=TAKEN, start_time__isnull=False).exists()

        wait_until(is_shown)
        shown.append("sw05")

    def has_next(ctx: JobContext) -> None:
        def is_held() -> bool:
            with ctx.database():
                return JobDevice.objects.filter(host="sw05", state=WAITING, participant__isnull=False).exists()

        wait_until(is_held)

    shown: list[str] = []
    body.happens = {"sw04": has_next, "sw05": lasts}
    assert performed(12).status == Status.FINISHED
    assert shown == ["sw05"]


def test_where_another_joins_what_is_not_begun_is_given_back(body: Body, takings: list[tuple[int, int]]) -> None:
    other, before = uuid4(), [0]

    def joins(ctx: JobContext) -> None:
        wait_until(lambda: held(ctx))
        with ctx.database():
            Participant.objects.create(token=other, job_id=ctx.job_id, worker="second", joined_at=database_now())
        wait_until(lambda: not held(ctx))
        before[0] = len(takings)

    def leaves(ctx: JobContext) -> None:
        with ctx.database():
            Participant.objects.filter(pk=other).delete()

    body.happens = {"sw05": joins, "sw08": leaves}
    assert performed(12).status == Status.FINISHED
    assert sorted(body.begun) == hosts(12)
    assert max(ahead for _, ahead in takings[: before[0]]) == 1
    assert max(ahead for _, ahead in takings[before[0] :]) == 0


@pytest.mark.parametrize(
    ("how", "reason"), [("aborted", "JobAborted"), ("cleared", "LockLost"), ("lost", "WorkerLost")]
)
def test_a_run_that_may_not_go_on_begins_nothing_that_it_has_in_hand(how: str, reason: str, body: Body) -> None:
    def stops(ctx: JobContext) -> None:
        wait_until(lambda: held(ctx))
        with ctx.database():
            run = Run.of(Job.objects.get(pk=ctx.job_id), run_token=Participant.objects.get().token, worker="first")
            stop: dict[str, Callable[[Run], Any]] = {"aborted": aborted, "cleared": cleared, "lost": lose}
            stop[how](run)
        wait_until(lambda: ctx.stopping)

    body.happens = {"sw05": stops}
    ended = performed(12)
    ended.refresh_from_db()
    assert (ended.status, ended.exception_type) == (Status.EXCEPTION, reason)
    assert body.begun == hosts(6)
    # Of one that was lost it may not be known yet that it was begun, or is over: it was only read.
    assert left(ended)[-6:] == [(host, None) for host in hosts(12)[6:]]
    assert how == "lost" or len(left(ended)) == 6


def test_what_a_participant_was_told_is_as_old_as_its_question(
    body: Body, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The answer may have been on its way for long."""
    settings.CNAASJOBS_REPORT_SECONDS = 0.001  # what is over is written at once
    asked, told = [0.0], [0]

    def noting(ask: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            asked[0] = time.monotonic()
            return ask(*args, **more)

        return noted

    def heard(self: Ahead, asked_at: float) -> None:
        assert asked_at <= asked[0]
        told[0] += 1

    for question in ("fleet_standing", "take_devices", "write_devices"):
        monkeypatch.setattr(store(), question, noting(getattr(store(), question)))
    monkeypatch.setattr(Ahead, "heard", heard)
    assert performed(12).status == Status.FINISHED
    assert told[0] > 1


def test_where_nobody_may_help_a_run_goes_on_though_its_worker_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Membership, "told_to_leave", lambda self: True)
    assert perform(scheduling.schedule(fleets.each, {"hosts": hosts(12)})).status == Status.FINISHED


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("_postgresql_to_use")
def test_a_participant_that_is_told_to_leave_gives_back_what_it_has_not_begun(
    body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(Membership, "told_to_leave", lambda self: bool(told))

    def stops(ctx: JobContext) -> None:
        wait_until(lambda: held(ctx))
        told.append(True)
        wait_until(lambda: not held(ctx))

    body.happens = {"sw05": stops}
    ended = performed(12)
    assert ended.status == Status.RUNNING  # and waits for somebody
    assert body.begun == hosts(6)
    assert left(ended) == [(host, None) for host in hosts(12)[6:]]


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("_postgresql_to_use")
@pytest.mark.parametrize("helpers", [0, 1])
def test_where_all_or_none_are_to_be_done_all_may_be_told_to_leave(
    body: Body, monkeypatch: pytest.MonkeyPatch, helpers: int
) -> None:
    """Each has devices that wait for the others, and nobody comes who would take these."""
    told = threading.Event()
    body.happens = {"prepare": lambda ctx: told.wait(20)}
    monkeypatch.setattr(Membership, "told_to_leave", lambda self: told.is_set())
    crew = Crew(scheduling.schedule(together, {"hosts": hosts(7)}))
    crew.first()
    wait_until(lambda: len(body.begun) == 2)
    for _ in range(helpers):
        crew.helper("second")
        wait_until(lambda: len(body.begun) == 4)
    told.set()
    ended = crew.wait()
    assert (ended.status, list(result_of(ended)["devices"])) == (Status.FINISHED, hosts(7))


def test_one_that_was_frozen_begins_nothing_before_it_has_asked_again(
    body: Body, takings: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given its devices so long ago that they may be another's by now."""
    monkeypatch.setattr(Ahead, "may_begin", lambda self: False)
    assert performed(12, at_once=2).status == Status.FINISHED
    assert sorted(body.begun) == hosts(12)
    assert sum(count for count, _ in takings) >= 10


def test_what_it_was_told_counts_for_a_second(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    now = [100.0]
    monkeypatch.setattr("jobs.fleet.ahead.time.monotonic", lambda: now[0])
    ahead = Ahead(4, alone=True)
    assert not ahead.may_begin()
    ahead.heard(99.5)
    assert ahead.may_begin()
    now[0] = 100.5
    assert not ahead.may_begin()
    ahead.heard(99.6)
    assert ahead.may_begin()
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 1.9  # half of it has not passed
    assert ahead.may_begin()
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 1.7  # half of it has: it may be taken for lost before that second is over
    assert not ahead.may_begin()


@pytest.mark.needs("postgresql")
def test_the_server_crashes_while_devices_are_taken_ahead(body: Body, postgresql: PostgreSQL) -> None:
    def crash(ctx: JobContext) -> None:
        wait_until(lambda: held(ctx))
        postgresql.kill()
        postgresql.start()

    body.happens = {"sw05": crash}
    assert performed(12).status == Status.FINISHED
    assert sorted(body.begun) == hosts(12)
