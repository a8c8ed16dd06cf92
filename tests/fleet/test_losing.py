"""What becomes of a run, and of its devices, when a participant is lost."""

import threading
from typing import Any
from uuid import UUID

import pytest

from cnaasjobs.db.clock import database_now
from cnaasjobs.db.prepared import MANY
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import participants, transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, Note
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job, result_of
from jobs.upkeep.orphans import end_orphans
from locks import service as locks
from tests.fleet.parts import (
    DONE,
    TAKEN,
    WAITING,
    aborted,
    begun,
    join,
    joined,
    joined_late,
    leave,
    lose,
    named,
    over,
    states,
    taking_part,
)
from tests.upkeep.watcher import Watcher

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_participant_that_is_lost_in_a_dry_run_gives_its_devices_back() -> None:
    run, _ = begun(take=1, repeats=True)
    helper = joined(run)
    store().take_devices(helper, 2)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    assert named(run) == helper.run_token
    assert states(run.job_id) == [WAITING, TAKEN, TAKEN, WAITING]
    assert [one.host for one in store().take_devices(helper, 5)[1]] == ["d"]  # one that cost a process is taken alone
    assert [one.host for one in store().take_devices(helper, 1, tried=True)[1]] == ["a"]
    third = joined_late(run, worker="third")
    a, b = (JobDevice.objects.get(host=host) for host in "ab")
    store().note_steps(helper, [Note(b.pk, "commit", "it reverts")])
    assert lose(helper)
    assert JobDevice.objects.get(host="a").reason == "its process died with it, at worker second and once before"
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]
    assert named(run) == third.run_token
    a.refresh_from_db()
    b.refresh_from_db()
    assert (a.tries, b.tries) == (2, 1)
    assert (b.participant, b.worker, b.start_time, b.step, b.if_lost, b.steps_over) == (None, None, None, "", None, 0)


@job
def costs_processes(ctx: JobContext) -> None:
    """Those that wait when "a" begins have cost a process."""
    tried = threading.Event()

    def one(device: str) -> str:
        if device == "a":
            with ctx.database():
                JobDevice.objects.filter(state=WAITING).update(tries=1)
            tried.set()
        assert tried.wait(20)
        return device

    ctx.each(["a", "b", "c", "d"], one, at_once=2)


def test_each_device_that_has_cost_a_process_is_begun_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    take, begun_alone = store().take_devices, list[list[str]]()

    def noted(run: Run, count: int, *, tried: bool = False, **more: Any) -> Any:
        seen, taken = take(run, count, tried=tried, **more)
        if tried:
            begun_alone.append([one.host for one in taken])
        return seen, taken

    monkeypatch.setattr(store(), "take_devices", noted)
    assert perform_job(costs_processes).status == Status.FINISHED
    assert begun_alone == [["c"], ["d"]]


@job
def beside_one_that_is_lost(ctx: JobContext, *, says: bool) -> None:
    def one(device: str) -> str:
        with ctx.database():
            lost = {"state": DONE, "failed": True, "reason": "its process died", "finish_time": database_now()}
            JobDevice.objects.filter(state=WAITING).update(**lost)
        return device

    ctx.each(["a", "b"], one, at_once=1, lost=(lambda device, why: f"{device}: {why}") if says else None)


@pytest.mark.parametrize(("says", "reports"), [(True, {"b": "b: its process died"}), (False, {})])
def test_a_job_that_has_nothing_to_say_of_a_lost_device_has_no_report_of_it(says: bool, reports: Any) -> None:
    ended = perform_job(beside_one_that_is_lost, says=says)
    assert (ended.status, result_of(ended)) == (Status.FINISHED, {"devices": {"a": "a", **reports}})
    assert ended.outcome.result is not None  # it is short, and lists of jobs show it


def test_the_one_that_has_taken_part_longest_inherits_the_run() -> None:
    run, _ = begun()
    younger = joined(run, token=UUID(int=1), worker="younger")
    elder = joined(run, token=UUID(int=2), worker="elder", worker_id=7)
    first = Participant.objects.get(pk=run.run_token).joined_at
    Participant.objects.filter(pk=elder.run_token).update(joined_at=first)
    assert lose(run)
    job = Job.objects.get(pk=run.job_id)
    assert (job.run_token, job.worker, job.worker_id) == (elder.run_token, "elder", 7)
    assert lose(elder)
    assert named(run) == younger.run_token


def test_a_participant_that_is_lost_in_a_live_run_says_where() -> None:
    run, taken = begun(take=2)
    helper = joined(run)
    store().note_steps(run, [Note(taken[0].id, "commit", "it reverts by itself by 10:42 UTC")], of=MANY)
    assert lose(run)
    reasons = dict(JobDevice.objects.filter(failed=True).values_list("host", "reason"))
    assert reasons == {
        "a": "worker first was lost in commit: it reverts by itself by 10:42 UTC",
        "b": "worker first was lost while it worked on the device: its state is not known",
    }
    assert [host for _, host, _ in store().unreported_devices(run.job_id)] == ["a", "b"]
    assert named(run) == helper.run_token
    assert locks.held().exists()


@job(lock="devices")
def lost_in_hand(ctx: JobContext) -> None:
    def one(device: str) -> None:
        with ctx.database():
            Participant.objects.all().delete()
        ctx.checkpoint()

    ctx.each(["a"], one)


def test_a_participant_that_was_judged_lost_leaves_the_end_to_upkeep() -> None:
    """Upkeep takes its part from it in one transaction, and ends the job in the next; in between the run is still in
    its name."""
    taken = perform_job(lost_in_hand)
    assert (taken.status, taken.exception_type) == (Status.RUNNING, None)
    token = taken.run_token
    assert token is not None
    assert transitions.lose(taken.pk, token, type=EndReason.WORKER_LOST, message="its process is gone")
    taken.refresh_from_db()
    assert taken.exception_type == "WorkerLost"
    assert not locks.held().exists()


def test_what_an_earlier_release_leaves_of_a_run_that_it_ended_is_put_right() -> None:
    """It knows neither participants nor devices. The other participant may be alive, or not."""
    run, taken = begun(take=2)
    store().note_steps(run, [Note(taken[0].id, "commit", "it reverts")])
    joined(run)
    assert transitions.fail(run, Failure(type=EndReason.WORKER_LOST, message="its worker is gone"))
    assert store().decide(run, 1, within=None).reason == "the run was ended by somebody else"
    watcher = Watcher()
    for _ in range(30):
        watcher.look()
    assert taking_part(run) == set()
    assert states(run.job_id) == [DONE, DONE, WAITING, WAITING]
    assert JobDevice.objects.get(host="a").reason == "worker first was lost in commit: it reverts"
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


def test_a_report_that_is_there_stays() -> None:
    run, taken = begun(take=1)
    store().write_devices(run, Batch([over(taken[0].id)._replace(failed=True, reason="it said no")]))
    assert store().unreported_devices(run.job_id) == []
    kept = JobDevice.objects.get(pk=taken[0].id).report
    store().write_reports([(taken[0].id, '"another"')])
    assert JobDevice.objects.get(pk=taken[0].id).report == kept != '"another"'


def test_the_only_one_that_is_lost_with_devices_in_hand_ends_a_live_run() -> None:
    run, taken = begun(take=2)
    store().write_devices(run, Batch([over(taken[0].id)]))
    assert lose(run)
    job = Job.objects.get(pk=run.job_id)
    assert job.exception_type == "WorkerLost"
    assert result_of(job) == {"devices": {"a": "done"}}
    assert job.finished_devices == '["a", "b"]'
    assert states(run.job_id) == [DONE, DONE, WAITING, WAITING]
    assert JobDevice.objects.get(failed=True).host == "b"
    assert not locks.held().exists()


def test_nobody_joins_a_run_between_the_loss_of_its_only_participant_and_its_end() -> None:
    run, _ = begun(take=2)
    lost = Failure(type=EndReason.WORKER_LOST, message="its process is gone")
    assert not participants.lose(run.job_id, run.run_token, lost).goes_on
    assert isinstance(join(run), Refused)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


@pytest.mark.parametrize(("take", "repeats"), [(0, False), (2, True)])
def test_the_only_one_that_is_lost_leaves_a_run_that_waits_for_others(take: int, repeats: bool) -> None:
    run, _ = begun(take=take, repeats=repeats, helpers=1)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    back = leave(run, end=Failure(type="X", message="it was frozen, and comes back").as_json(), though_waiting=True)
    assert (back.gone, back.last) == (True, False)
    helper = joined(run)
    assert named(run) == helper.run_token


def test_a_run_that_its_only_participant_was_lost_to_ends_at_once_when_it_is_told_to_stop() -> None:
    run, _ = begun()
    assert lose(run)
    aborted(run)
    assert end_orphans() == 1
    assert Job.objects.get(pk=run.job_id).exception_type == "JobAborted"


def test_nobody_is_waited_for_when_all_devices_are_done() -> None:
    run, taken = begun(["a"], take=1, repeats=True)
    store().write_devices(run, Batch([over(taken[0].id)]))
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


def test_a_participant_that_is_lost_after_the_run_has_ended_changes_nothing() -> None:
    run, _ = begun(take=2)
    assert lose(run)
    before = [*Job.objects.values(), *Fleet.objects.values(), *JobDevice.objects.order_by("id").values()]
    assert not lose(run)
    assert [*Job.objects.values(), *Fleet.objects.values(), *JobDevice.objects.order_by("id").values()] == before


def test_nobody_is_waited_for_where_nobody_can_be_invited() -> None:
    run, _ = begun(take=2, repeats=True, helpers=0)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (EndReason.TIME_LIMIT_EXCEEDED, EndReason.WORKER_LOST),
        (EndReason.TIME_LIMIT_EXCEEDED, EndReason.LOCK_LOST),
        ("MemoryError", EndReason.WORKER_LOST),
        (EndReason.TIME_LIMIT_EXCEEDED, "MemoryError"),
    ],
)
def test_what_strikes_one_for_good_ends_the_job_when_the_last_has_left(first: str, later: str) -> None:
    run, _ = begun(take=1)
    helper = joined(run)
    assert lose(run, first)
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    assert locks.held().exists()
    assert store().take_devices(helper, 2)[1] == []
    assert lose(helper, later)
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, (exception_of(job) or {})["message"]) == (first, "its process is gone")


def test_a_participant_that_was_judged_lost_takes_and_writes_and_notes_nothing() -> None:
    run, taken = begun(take=1, repeats=True)
    joined(run)
    assert lose(run)
    assert not store().fleet_standing(run).is_mine
    assert store().take_devices(run, 5)[1] == []
    assert not store().write_devices(run, Batch([over(taken[0].id)])).is_mine
    assert not store().note_steps(run, [Note(taken[0].id, "commit", None)]).is_mine
    store().note_end(run, "{}")
    assert Fleet.objects.get().end is None
    assert states(run.job_id)[0] == WAITING
    assert leave(run).gone


def test_what_an_attempt_left_behind_says_nothing_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are there until the next one comes to its devices."""
    run, _ = begun(take=0)
    assert leave(run, though_waiting=True).gone
    Job.objects.filter(pk=run.job_id).update(attempt=2, abort_reason="enough")
    assert end_orphans() == 0
    token = named(run)
    assert token is not None
    assert transitions.lose(run.job_id, token, type=EndReason.WORKER_LOST, message="no heartbeat")
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, result_of(job)) == ("WorkerLost", None)
