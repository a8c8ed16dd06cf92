"""Devices that a participant takes before it has a thread for them, as long as nobody else takes part."""

from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.body.context import JobContext
from jobs.fleet import hands
from jobs.fleet.ahead import Ahead
from jobs.fleet.hands import Piece
from jobs.fleet.kept import Kept
from jobs.fleet.unwritten import Devices
from jobs.models import Job, JobDevice
from jobs.run import Refused
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note, Over, Taken
from jobs.states import Status
from tests.fake_jobs import fleets
from tests.fleet.parts import DONE, TAKEN, WAITING, begun, join, joined, leave, lose, states

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
    store().write_devices(run, Batch(unbegun=[taken[0].id]))
    assert [one.host for one in store().take_devices(helper, 1)[1]] == ["a"]


@each_database
def test_one_that_is_taken_ahead_is_begun_when_that_is_written() -> None:
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


def test_one_began_when_its_thread_began_it_and_not_with_the_first_step_that_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = begun()
    (a,) = store().take_devices(run, 0, ahead=1)[1]
    ctx = JobContext(run, joined=True)
    monkeypatch.setattr(ctx.membership, "_note_together", lambda note: ctx.membership._note([note]))
    piece = Piece(lambda piece: None, a.id, "a", "a", begun_at=monotonic() - 3600)
    monkeypatch.setattr(hands._current, "piece", piece, raising=False)
    ctx.about_to("commit")
    assert timedelta(hours=1) <= database_now() - shown("a")[1] < timedelta(hours=2)
    assert of("a").if_lost is None


@each_database
def test_one_that_is_given_back_is_anybodys() -> None:
    begun(["x"], task=fleets.each_with_result)  # waits beside it
    run, _ = begun()
    taken = store().take_devices(run, 2, ahead=2)[1]
    assert isinstance(join(run), Refused)  # there is nothing that it could begin
    assert not store().write_devices(run, Batch()).waiting
    store().write_devices(run, Batch(unbegun=[taken[1].id, taken[2].id]))
    assert shown("b") == shown("c") == NOT_BEGUN
    helper = joined(run)
    assert [one.host for one in store().take_devices(helper, 9)[1]] == ["b", "c"]
    assert of("a").participant == run.run_token


@each_database
def test_those_of_a_participant_that_was_lost_in_a_dry_run_wait_for_others() -> None:
    run, _ = begun(repeats=True)
    store().take_devices(run, 1, ahead=1)
    helper = joined(run)
    assert lose(run)
    assert states(run.job_id) == [WAITING] * 4
    assert [one.host for one in store().take_devices(helper, 9)[1]] == ["c", "d"]
    # It may have been begun just before the end: one that takes its process with it must not do so for ever.
    assert (of("b").participant, of("b").tries) == (None, 1)


@each_database
def test_those_of_a_participant_that_was_lost_alone_in_a_live_run_were_never_begun() -> None:
    run, _ = begun()
    store().take_devices(run, 1, ahead=2)
    assert lose(run)
    ended = Job.objects.get(pk=run.job_id)
    assert (ended.status, ended.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]
    assert not JobDevice.objects.filter(state=WAITING, participant__isnull=False).exists()


@each_database
def test_those_of_a_participant_whose_body_failed_alone_were_never_begun() -> None:
    """It gives its devices up before it leaves."""
    run, _ = begun()
    store().take_devices(run, 1, ahead=1)
    assert store().lose_devices(run.job_id, run.run_token, worker="first", repeats=False) == 2
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]


@each_database
def test_a_live_run_does_not_go_on_where_one_that_was_lost_may_have_begun_a_device() -> None:
    run, _ = begun()
    store().take_devices(run, 0, ahead=1)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


@each_database
def test_nobody_takes_what_one_that_was_lost_beside_others_in_a_live_run_may_be_looking_at() -> None:
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


def test_a_participant_takes_ahead_as_many_as_its_threads_begin_until_it_asks_again() -> None:
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


def test_more_are_taken_when_half_of_those_ahead_have_begun() -> None:
    ahead = Ahead(4, alone=True)
    assert (ahead.few, ahead.wanted(0), ahead.wanted(4)) == (3, (4, 0), (0, 0))
    ahead.was_done(0.0)
    assert (ahead.most, ahead.few) == (4, 3 + 2)
    assert [ahead.wanted(in_hand) for in_hand in (0, 4, 5, 9)] == [(4, 4), (0, 4), (0, 3), (0, 0)]
    only = Ahead(1, alone=True)
    only.was_done(0.0)
    assert (only.most, only.few) == (1, 1)  # before its thread is idle


def test_a_device_that_has_only_begun_is_not_written_so_that_no_step_waits_for_the_row(
    settings: Any,
) -> None:
    settings.CNAASJOBS_REPORT_SECONDS = 60
    devices = Devices(Kept(always=False))
    devices.take([Taken(1, "just", 0, True), Taken(2, "for long", 0, True), Taken(3, "in turn", 0, False)])
    now = monotonic()
    pieces = [piece(1, begun_at=now), piece(2, begun_at=now - 120), piece(3, begun_at=now - 1000)]
    devices.in_progress(pieces)
    assert [one.id for one in devices.batch().begun] == [2]
    devices.written()
    pieces[0].begun_at -= 120
    devices.in_progress(pieces)
    assert [one.id for one in devices.batch().begun] == [1]


def piece(number: int, *, begun_at: float) -> Piece:
    return Piece(lambda _: None, number, f"sw{number}", None, begun_at=begun_at)
