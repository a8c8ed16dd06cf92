"""Who takes part in a run: joining, being lost, leaving. Each by the product's own functions, on both databases."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Refused
from jobs.sql import store
from jobs.sql.device_signature import Batch, NewFleet, Note, Over
from jobs.states import DeviceState, Status
from jobs.testing import exception_of, result_of
from jobs.upkeep.orphans import end_orphans
from locks import service as locks
from tests.fleet.parts import begun, join, joined, named, taking_part

pytestmark = pytest.mark.django_db(transaction=True)

WAITING, TAKEN, DONE = (state.value for state in DeviceState)


def states(job_id: int) -> list[str]:
    return list(JobDevice.objects.filter(job_id=job_id).order_by("place").values_list("state", flat=True))


def over(device_id: int) -> Over:
    return Over(device_id, failed=False, reason=None, change_score=3, report='"done"', memo=None, age=0.0)


def leave(run: Any, batch: Batch = Batch(), *, end: str | None = None, though_waiting: bool = False) -> Any:  # noqa: B008
    orphan = Failure(type=EndReason.WORKER_SHUTDOWN, message="it stopped").as_json()
    return store().leave(run, batch, end=end, though_waiting=though_waiting, orphan=orphan)


# --- joining ----------------------------------------------------------------------------------------------------------


def test_who_joins_takes_part_and_takes_what_nobody_has_begun() -> None:
    run, _ = begun(take=1)
    helper = joined(run)
    assert taking_part(run) == {run.run_token, helper.run_token}
    assert named(run) == run.run_token
    seen, taken = store().take_devices(helper, 2)
    assert [device.host for device in taken] == ["b", "c"]
    assert (seen.is_mine, states(run.job_id)) == (True, [TAKEN, TAKEN, TAKEN, WAITING])


def test_joining_twice_with_one_token_is_joining_once() -> None:
    run, _ = begun()
    token = uuid4()
    joined(run, token=token)
    joined(run, token=token)
    assert len(taking_part(run)) == 2


def ended(run: Any) -> None:
    Fleet.objects.filter(pk=run.job_id).update(end=Failure(type="X", message="x").as_json())


def aborted(run: Any) -> None:
    transitions.abort(run.job_id, reason="", by="operator")


def cleared(run: Any) -> None:
    locks.clear("devices", who="operator", origin="test")


def all_begun(run: Any) -> None:
    store().take_devices(run, 10)


def enough(run: Any) -> None:
    for _ in range(3):
        joined(run)


def of_another_attempt(run: Any) -> None:
    Job.objects.filter(pk=run.job_id).update(attempt=2)


def finished(run: Any) -> None:
    transitions.lose(run.job_id, run.run_token, type=EndReason.WORKER_LOST, message="gone")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (ended, "it is about to end"),
        (aborted, "it is about to end"),
        (cleared, "it lost its lock"),
        (all_begun, "all its devices were begun"),
        (enough, "enough take part"),
        (of_another_attempt, "it has not come to its devices"),
    ],
)
def test_nobody_joins_where_it_is_no_use(change: Any, reason: str) -> None:
    run, _ = begun()
    change(run)
    answer = join(run)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


def test_nobody_joins_after_the_time_limit_nor_another_task_nor_what_does_not_run() -> None:
    run, _ = begun()
    Job.objects.filter(pk=run.job_id).update(start_time=F("start_time") - timedelta(seconds=100))
    assert isinstance(join(run, longest=99.0), Refused)
    assert isinstance(join(run, task_name="another"), Refused)
    answer = join(run, longest=200.0)
    assert not isinstance(answer, Refused)
    assert 99 < answer.age < 150  # its time limits count from there
    transitions.end_lost(Job.objects.get(pk=run.job_id), Failure(type="X", message="x"))
    assert isinstance(join(run), Refused)


# --- leaving ----------------------------------------------------------------------------------------------------------


def test_who_leaves_hands_the_run_on_and_ends_nothing() -> None:
    run, taken = begun(take=1)
    helper = joined(run, worker="second", worker_id=7)
    leaving = leave(run, Batch([over(taken[0].id)]))
    assert (leaving.gone, leaving.last) == (True, False)
    job = Job.objects.get(pk=run.job_id)
    assert (job.status, job.run_token, job.worker_id, job.worker) == (Status.RUNNING, helper.run_token, 7, "second")
    assert taking_part(run) == {helper.run_token}
    assert states(run.job_id)[0] == DONE
    assert locks.held().exists()


def test_the_last_one_stays_while_devices_wait() -> None:
    run, _ = begun(take=1)
    leaving = leave(run)
    assert (leaving.gone, leaving.last) == (False, False)
    assert taking_part(run) == {run.run_token}


def test_the_last_one_out_gets_the_tally_of_all() -> None:
    run, taken = begun(["a", "b"], take=1)
    helper = joined(run)
    _, more = store().take_devices(helper, 5)
    assert leave(helper, Batch([over(more[0].id)])).gone
    leaving = leave(run, Batch([over(taken[0].id)]))
    assert leaving.last
    assert (leaving.tally.devices, leaving.tally.over, leaving.tally.failed, leaving.tally.max_score) == (2, 2, 0, 3)
    assert not taking_part(run)


def test_leaving_may_be_repeated() -> None:
    """Its answer may be lost with the connection."""
    run, taken = begun(["a"], take=1)
    batch = Batch([over(taken[0].id)])
    assert leave(run, batch).last
    again = leave(run, batch)
    assert again.last
    assert again.tally.over == 1


def test_leaving_others_may_be_repeated() -> None:
    run, _ = begun(["a"], take=0)
    joined(run)
    assert leave(run).gone
    assert leave(run).gone


def test_beginning_and_joining_and_taking_may_be_repeated() -> None:
    run, taken = begun(take=2)
    fleet = NewFleet(helpers=3, repeats=False, all_or_none=False, fingerprint="alike")
    assert store().begin_devices(run, fleet, ["a", "b", "c", "d"], take=2, worker_id=None) == taken
    assert len(states(run.job_id)) == 4
    store().take_devices(run, 1)
    assert [device.host for device in store().taken_devices(run)] == ["a", "b", "c"]
    batch = Batch([over(taken[0].id)])
    store().write_devices(run, batch)
    store().write_devices(run, batch)
    assert states(run.job_id) == [DONE, TAKEN, TAKEN, WAITING]


def test_a_run_that_was_left_by_all_waits_for_others_and_then_ends() -> None:
    run, _ = begun(take=0)
    assert leave(run, though_waiting=True).gone
    job = Job.objects.get(pk=run.job_id)
    assert job.status == Status.RUNNING
    assert job.run_token != run.run_token
    assert job.worker_id is None
    assert leave(run).gone  # who comes back ends nothing
    assert end_orphans() == 0
    helper = joined(run)
    assert named(run) == helper.run_token
    assert Fleet.objects.get().orphan is None
    assert leave(helper, though_waiting=True).gone
    token = named(run)
    assert token is not None
    assert transitions.lose(run.job_id, token, type=EndReason.WORKER_LOST, message="no heartbeat")
    job.refresh_from_db()
    assert (job.exception_type, result_of(job)) == ("WorkerShutdown", {"devices": {}})
    assert not locks.held().exists()


def late(run: Any) -> None:
    Job.objects.filter(pk=run.job_id).update(start_time=F("start_time") - timedelta(days=300))


@pytest.mark.parametrize(
    ("change", "type_"), [(aborted, "JobAborted"), (cleared, "LockLost"), (ended, "X"), (late, "TimeLimitExceeded")]
)
def test_a_run_that_waits_for_others_ends_where_there_is_nothing_to_wait_for(
    change: Any, type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.upkeep.orphans.longest", lambda name: 3600.0)
    run, _ = begun(take=0)
    assert leave(run, though_waiting=True).gone
    change(run)
    assert end_orphans() == 1
    job = Job.objects.get(pk=run.job_id)
    assert job.exception_type == type_
    assert not locks.held().exists()


def test_the_end_that_was_met_first_stays_and_the_last_one_out_carries_it_out() -> None:
    run, _ = begun(take=1)
    helper = joined(run)
    first, second = (Failure(type=name, message=name).as_json() for name in ("First", "Second"))
    store().note_end(helper, first)
    assert store().fleet_standing(run).end == first
    seen, taken = store().take_devices(run, 3)
    assert (seen.end, taken) == (first, [])
    assert leave(helper, end=first, though_waiting=True).gone
    leaving = leave(run, end=second, though_waiting=True)
    assert (leaving.last, leaving.end) == (True, first)


# --- being lost -------------------------------------------------------------------------------------------------------


def lose(run: Any, type: str = EndReason.WORKER_LOST) -> bool:
    return transitions.lose(run.job_id, run.run_token, type=type, message="its process is gone")


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
    third = joined_anyway(run)
    assert lose(helper)
    assert JobDevice.objects.get(host="a").reason == "its process died with it, at worker second and once before"
    assert states(run.job_id) == [DONE, WAITING, WAITING, WAITING]
    assert named(run) == third.run_token


def joined_anyway(run: Any) -> Any:
    """Before the last device was begun."""
    JobDevice.objects.create(job_id=run.job_id, place=99, host="z")
    helper = joined(run, worker="third")
    JobDevice.objects.filter(host="z").delete()
    return helper


def test_a_participant_that_is_lost_in_a_live_run_says_where() -> None:
    run, _ = begun(take=2)
    helper = joined(run)
    store().note_steps(run, [Note("a", "commit", "it reverts by itself by 10:42 UTC")])
    assert lose(run)
    reasons = dict(JobDevice.objects.filter(failed=True).values_list("host", "reason"))
    assert reasons == {
        "a": "worker first was lost in commit: it reverts by itself by 10:42 UTC",
        "b": "worker first was lost while it worked on the device: its state is not known",
    }
    assert [host for _, host, _ in store().unreported_devices(run.job_id)] == ["a", "b"]
    assert named(run) == helper.run_token
    assert locks.held().exists()


def test_the_only_one_that_is_lost_with_devices_in_hand_ends_a_live_run() -> None:
    run, taken = begun(take=2)
    store().write_devices(run, Batch([over(taken[0].id)]))
    assert lose(run)
    job = Job.objects.get(pk=run.job_id)
    assert job.exception_type == "WorkerLost"
    assert result_of(job) == {"devices": {"a": "done"}}
    assert job.finished_devices == '["a", "b"]'
    assert states(run.job_id) == [DONE, DONE, WAITING, WAITING]
    assert not locks.held().exists()


@pytest.mark.parametrize(("take", "repeats"), [(0, False), (2, True)])
def test_the_only_one_that_is_lost_leaves_a_run_that_waits_for_others(take: int, repeats: bool) -> None:
    run, _ = begun(take=take, repeats=repeats)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    back = leave(run, end=Failure(type="X", message="it was frozen, and comes back").as_json(), though_waiting=True)
    assert (back.gone, back.last) == (True, False)
    helper = joined(run)
    assert named(run) == helper.run_token


def test_nobody_is_waited_for_who_cannot_be_invited() -> None:
    run, _ = begun(take=2, repeats=True, helpers=0)
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"


def test_a_hard_limit_that_strikes_one_ends_the_job_when_the_last_has_left() -> None:
    run, _ = begun(take=1)
    helper = joined(run)
    assert lose(run, EndReason.TIME_LIMIT_EXCEEDED)
    assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
    assert locks.held().exists()
    assert store().take_devices(helper, 2)[1] == []
    assert lose(helper)
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, (exception_of(job) or {})["message"]) == ("TimeLimitExceeded", "its process is gone")


def test_who_was_judged_lost_takes_and_writes_and_notes_nothing() -> None:
    run, taken = begun(take=1, repeats=True)
    joined(run)
    assert lose(run)
    assert not store().fleet_standing(run).is_mine
    assert store().take_devices(run, 5)[1] == []
    assert not store().write_devices(run, Batch([over(taken[0].id)])).is_mine
    assert not store().note_steps(run, [Note("a", "commit", None)]).is_mine
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


# --- deciding ---------------------------------------------------------------------------------------------------------


def stepped(run: Any, taken: Any, steps: int) -> None:
    from jobs.sql.device_signature import Stepped

    store().write_devices(run, Batch(stepped=[Stepped(one.id, steps) for one in taken]))


def test_a_step_is_allowed_once_all_are_over_in_the_one_before() -> None:
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    _, more = store().take_devices(helper, 1)
    stepped(run, taken, 1)
    assert store().decide(run, 1, within=None).allowed is None
    stepped(helper, more, 1)
    assert store().decide(helper, 1, within=None).allowed
    assert store().decide(run, 1, within=None).allowed
    assert store().decide(run, 2, within=None).allowed is None


def test_a_participant_that_dies_before_the_decision_makes_it_a_no_and_after_it_changes_nothing() -> None:
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    _, more = store().take_devices(helper, 1)
    stepped(run, taken, 1)
    stepped(helper, more, 1)
    assert lose(helper)
    refused = store().decide(run, 1, within=None)
    assert (refused.allowed, refused.reason) == (False, "b")
    assert store().decide(run, 1, within=None) == refused
    run, taken = begun_anew()
    stepped(run, taken[:1], 1)
    assert Participant.objects.filter(job_id=run.job_id).count() == 2
    other = Participant.objects.exclude(pk=run.run_token).get(job_id=run.job_id)
    JobDevice.objects.filter(job_id=run.job_id).update(steps_over=1)
    assert store().decide(run, 1, within=None).allowed
    transitions.lose(run.job_id, other.pk, type=EndReason.WORKER_LOST, message="gone")
    assert store().decide(run, 1, within=None).allowed  # it stands
    assert store().decide(run, 2, within=None).allowed is False


def begun_anew() -> tuple[Any, Any]:
    Job.objects.filter(status=Status.RUNNING.value).first()
    transitions.end_lost(Job.objects.get(status=Status.RUNNING.value), Failure(type="X", message="x"))
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    store().take_devices(helper, 1)
    return run, taken


def test_a_step_that_took_too_long_is_the_last() -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    assert store().decide(run, 1, within=60).allowed
    stepped(run, taken, 2)
    Fleet.objects.update(allowed_at=F("allowed_at") - timedelta(seconds=61))
    refused = store().decide(run, 2, within=60)
    assert refused.allowed is False
    assert "more than 60 seconds" in refused.reason


def test_nobody_decides_for_a_job_that_was_told_to_stop() -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    aborted(run)
    assert store().decide(run, 1, within=None).allowed is None
