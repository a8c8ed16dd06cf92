"""Two runs side by side: reading one finds nothing of the other, and writing one changes nothing of it."""

from typing import Any

import pytest

from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, JobOutcome, Participant
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, NewFleet, Note, Stepped
from jobs.states import Status
from jobs.testing import result_of
from jobs.upkeep.orphans import end_orphans
from tests.factory import claimed
from tests.fake_jobs import fleets
from tests.fleet.parts import WAITING, begun, ended, join, joined, leave, lose, named, over, states

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

TASK = fleets.each_with_result  # without a lock


OF_A_RUN = {Job: "pk", Fleet: "pk", JobOutcome: "pk", JobDevice: "job_id", Participant: "job_id"}


def rows_of(job_id: int) -> list[Any]:
    return [
        list(table._default_manager.filter(**{key: job_id}).order_by("pk").values()) for table, key in OF_A_RUN.items()
    ]


@pytest.fixture
def other(each_database: None) -> Any:
    """A run with two participants that began before, and with devices in every state. Nothing of it may change."""
    run, taken = begun(["o1", "o2", "o3", "o4", "o5"], take=2, task=TASK)
    store().write_devices(run, Batch([over(taken[0].id)], stepped=[Stepped(taken[1].id, 1)]))
    lost = joined(run, task_name=TASK.name)
    store().take_devices(lost, 1)
    assert lose(lost)
    joined(run, task_name=TASK.name)
    before = rows_of(run.job_id)
    yield run
    assert rows_of(run.job_id) == before


def beside(**more: Any) -> tuple[Run, Any]:
    return begun(["a", "b"], task=TASK, **more)


def test_a_run_is_left_by_one_participant_and_finished_by_the_other(other: Run) -> None:
    run, taken = beside(take=1)
    helper = joined(run, task_name=TASK.name)
    seen, more = store().take_devices(helper, 5)
    assert ([device.host for device in more], seen.crowded) == (["b"], False)
    assert isinstance(join(run, task_name=TASK.name), Refused)  # all its devices have been begun
    assert seen.others <= 1  # 0 where it is not asked
    seen = store().write_devices(run, Batch())
    assert (seen.others, seen.waiting) == (1, False)
    store().note_steps(helper, [Note(more[0].id, "commit", "it reverts")])
    store().show_progress(run, seconds=0)
    assert store().finished_hosts(run.job_id) == []
    assert leave(run, Batch([over(taken[0].id)])).gone
    assert named(run) == helper.run_token
    last = leave(helper, Batch([over(more[0].id)]))
    assert (last.last, last.tally.devices, last.tally.over) == (True, 2, 2)
    assert store().finished_hosts(run.job_id) == ["a", "b"]


def test_a_run_whose_participants_are_lost_one_after_the_other_ends_with_the_last(other: Run) -> None:
    run, taken = beside(take=1)
    helper = joined(run, task_name=TASK.name)
    store().write_devices(run, Batch([over(taken[0].id)]))
    store().take_devices(helper, 1)
    assert lose(run)
    assert named(run) == helper.run_token
    assert store().unreported_devices(run.job_id) == []
    assert lose(helper)
    assert [host for _, host, _ in store().unreported_devices(run.job_id)] == ["b"]
    job = Job.objects.get(pk=run.job_id)
    assert (job.exception_type, job.finished_devices) == ("WorkerLost", '["a", "b"]')
    assert result_of(job) == {"devices": {"a": "done"}}
    assert job.outcome.devices_bytes == len('"a": "done", ')


def test_a_run_that_waits_for_others_and_is_about_to_end_takes_nobody_and_ends(other: Run) -> None:
    run, _ = beside(repeats=True)
    assert lose(run)
    back = joined(run, task_name=TASK.name)
    assert leave(back, though_waiting=True).gone
    assert end_orphans() == 0
    ended(run)
    assert isinstance(join(run, task_name=TASK.name), Refused)
    assert end_orphans() == 1


def test_joining_one_of_two_runs_that_wait_for_others_leaves_the_other_waiting(other: Run) -> None:
    runs = [beside()[0], beside()[0]]
    for run in runs:
        assert leave(run, though_waiting=True).gone
    joined(runs[0], task_name=TASK.name)
    assert [Fleet.objects.get(pk=run.job_id).orphan is None for run in runs] == [True, False]


def test_nobody_is_waited_for_because_devices_of_another_run_wait(other: Run) -> None:
    run, taken = beside(take=2)
    store().write_devices(run, Batch([over(device.id) for device in taken]))
    assert lose(run)
    assert Job.objects.get(pk=run.job_id).status == Status.EXCEPTION


def test_what_one_that_was_alone_had_taken_ahead_waits(other: Run) -> None:
    run, _ = beside()
    store().take_devices(run, 0, ahead=1)
    assert lose(run)
    assert states(run.job_id) == [WAITING, WAITING]


def test_a_decision_and_an_end_of_one_run_are_not_the_others(other: Run) -> None:
    run, taken = beside(take=2, all_or_none=True)
    store().write_devices(run, Batch(stepped=[Stepped(device.id, 1) for device in taken]))
    assert store().decide(run, 1, within=None).allowed
    store().note_end(run, "{}")
    assert store().fleet_standing(run).end == "{}"
    Participant.objects.filter(pk=run.run_token).delete()
    assert store().decide(run, 1, within=None).allowed is False


def test_a_new_attempt_leaves_the_other_runs_devices(other: Run) -> None:
    run, _ = beside(take=1)
    assert transitions.retry(run, due=0, reason="again")
    again = claimed(Job.objects.get(pk=run.job_id))
    fleet = NewFleet(helpers=3, repeats=False, all_or_none=False, fingerprint="alike")
    taken = store().begin_devices(again, fleet, ["c"], take=1, worker_id=None)
    assert [device.host for device in taken or []] == ["c"]
    assert store().finish(again, Outcome(result=None), next_job_id=None)
