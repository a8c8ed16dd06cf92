"""Devices that a participant takes before it has a thread for them, as long as nobody else takes part."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from cnaasjobs.db.clock import database_now
from jobs.body.membership import Membership
from jobs.dispatch import scheduling
from jobs.fleet.ahead import Ahead
from jobs.models import Job, JobDevice, Participant
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note, Over
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform, result_of
from tests.fleet.parts import DONE, TAKEN, WAITING, aborted, begun, cleared, join, joined, leave, lose, states
from tests.services import PostgreSQL
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
each_database = pytest.mark.usefixtures("each_database")

NOT_BEGUN = (None, None)


def of(host: str) -> JobDevice:
    return JobDevice.objects.get(host=host)


def shown(host: str) -> tuple[Any, Any]:
    """What a row says of who began it, and when."""
    return of(host).worker, of(host).start_time


# --- the rows ---------------------------------------------------------------------------------------------------------


@each_database
def test_one_that_is_taken_ahead_waits_and_nobody_else_takes_it() -> None:
    run, _ = begun()
    seen, taken = store().take_devices(run, 1, ahead=2)
    assert seen.is_mine
    assert [(one.host, one.ahead) for one in taken] == [("a", False), ("b", True), ("c", True)]
    assert states(run.job_id) == [TAKEN, WAITING, WAITING, WAITING]
    assert shown("b") == shown("c") == NOT_BEGUN
    assert [one.host for one in store().take_devices(run, 5)[1]] == ["d"]
    assert [(one.host, one.ahead) for one in store().taken_devices(run)] == [
        ("a", False),
        ("b", True),
        ("c", True),
        ("d", False),
    ]


@each_database
def test_none_is_taken_ahead_where_another_takes_part() -> None:
    run, _ = begun()
    helper = joined(run)
    seen, taken = store().take_devices(run, 1, ahead=2)
    assert ([one.host for one in taken], seen.others) == (["a"], 1)
    assert [one.host for one in store().take_devices(helper, 1, ahead=2)[1]] == ["b"]


@each_database
def test_it_is_begun_when_that_is_written() -> None:
    run, _ = begun()
    a, b, c = (one.id for one in store().take_devices(run, 0, ahead=3)[1])
    store().write_devices(run, Batch(begun=[Begun(a, age=30.0)]))
    store().note_steps(run, [Note(b, "commit", None, begun_age=20.0)])
    told: dict[str, Any] = {"failed": False, "reason": None, "change_score": 0, "report": '"r"', "memo": None}
    store().write_devices(run, Batch(over=[Over(c, **told, age=10.0, begun_age=25.0)], begun=[Begun(a, age=3.0)]))
    assert states(run.job_id) == [TAKEN, TAKEN, DONE, WAITING]
    now = database_now()
    for host, seconds in (("a", 30), ("b", 20), ("c", 25)):
        worker, since = shown(host)
        assert worker == "first"
        assert abs(now - since - timedelta(seconds=seconds)) < timedelta(seconds=5)
    c_row = of("c")
    assert c_row.start_time is not None
    assert c_row.finish_time is not None
    assert abs(c_row.finish_time - c_row.start_time - timedelta(seconds=15)) < timedelta(seconds=0.1)


@each_database
def test_one_that_is_given_back_is_anybodys() -> None:
    run, _ = begun()
    taken = store().take_devices(run, 0, ahead=4)[1]
    assert isinstance(join(run), Refused)  # there is nothing that it could begin
    store().write_devices(run, Batch(unbegun=[taken[1].id, taken[2].id]))
    helper = joined(run)
    assert [one.host for one in store().take_devices(helper, 9)[1]] == ["b", "c"]
    assert of("a").participant == run.run_token


@each_database
def test_of_one_that_was_lost_in_a_dry_run_they_wait_for_others() -> None:
    run, _ = begun(repeats=True)
    store().take_devices(run, 1, ahead=1)
    helper = joined(run)
    assert lose(run)
    assert states(run.job_id) == [WAITING] * 4
    assert [one.host for one in store().take_devices(helper, 9)[1]] == ["c", "d"]
    # It may have been begun just before the end: one that takes its process with it must not do so for ever.
    assert (of("b").participant, of("b").tries) == (None, 1)


@each_database
def test_of_one_that_was_lost_alone_in_a_live_run_they_were_never_begun() -> None:
    run, _ = begun()
    store().take_devices(run, 1, ahead=2)
    assert lose(run)
    ended = Job.objects.get(pk=run.job_id)
    assert (ended.status, ended.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]
    assert not JobDevice.objects.filter(state=WAITING, participant__isnull=False).exists()


@each_database
def test_a_live_run_does_not_go_on_where_one_that_was_lost_may_have_begun_a_device() -> None:
    run, _ = begun()
    store().take_devices(run, 0, ahead=1)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


@each_database
def test_of_one_that_was_lost_beside_others_in_a_live_run_nobody_takes_what_it_may_be_looking_at() -> None:
    run, _ = begun()
    store().take_devices(run, 0, ahead=1)
    helper = joined(run)
    assert lose(run)
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]
    why = "worker first was lost before it is known to have begun with the device: nothing was changed on it"
    assert of("a").reason == why
    assert [one.host for one in store().take_devices(helper, 1)[1]] == ["b"]


@each_database
def test_a_participant_leaves_with_what_it_gives_back() -> None:
    run, _ = begun()
    taken = store().take_devices(run, 0, ahead=4)[1]
    leaving = leave(run, Batch(unbegun=[one.id for one in taken]), though_waiting=True)
    assert leaving.gone
    assert not JobDevice.objects.filter(participant__isnull=False).exists()


# --- how many ---------------------------------------------------------------------------------------------------------


def test_as_many_as_its_threads_begin_until_it_asks_again() -> None:
    def most(*seconds: float, threads: int = 20) -> int:
        ahead = Ahead(threads, alone=True)
        for each in seconds:
            ahead.was_done(each)
        return ahead.most

    assert most() == 0
    assert most(0.05) == most(0.0) == 20
    assert most(0.5) == most(0.1, 0.9) == 10
    assert most(5.0) == 1
    assert most(5.0, threads=1) == 0
    assert Ahead(20, alone=False).most == 0


# --- a participant ----------------------------------------------------------------------------------------------------


class Body:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.happens: dict[str, Callable[[JobContext], None]] = {}
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
        return take(run, count, ahead=ahead, **more)

    monkeypatch.setattr(store(), "take_devices", counted)
    return asked


def test_quick_devices_are_taken_by_the_dozen(body: Body, takings: list[tuple[int, int]]) -> None:
    ended = performed(60, at_once=4)
    assert (ended.status, list(result_of(ended)["devices"])) == (Status.FINISHED, hosts(60))
    assert sorted(body.begun) == hosts(60)
    assert len(takings) <= 25
    assert not JobDevice.objects.filter(start_time__isnull=True).exists()


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
    ahead.heard(99.5, may_go_on=True)
    assert ahead.may_begin()
    now[0] = 100.5
    assert not ahead.may_begin()
    ahead.heard(100.4, may_go_on=False)
    assert not ahead.may_begin()
    ahead.heard(99.6, may_go_on=True)
    assert ahead.may_begin()
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 0.8  # then it may be lost before that second is over
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
