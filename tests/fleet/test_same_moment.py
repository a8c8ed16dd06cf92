"""Participants of one run that do something at the same moment; on PostgreSQL."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from cnaasjobs.db.clock import database_now
from cnaasjobs.db.prepared import MANY
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note
from jobs.sql.postgresql import devices
from jobs.states import JobDeviceState, Status
from tests import fake_jobs
from tests.fake_jobs import fleets
from tests.fleet.parts import begun, in_thread, join, joined, joined_late
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """Only there several processes take from a table at once."""


def test_of_two_that_leave_at_once_exactly_one_is_the_last() -> None:
    run, _ = begun(["a"], take=1)
    helper = joined_late(run)
    over: list[Any] = []

    def leave(one: Run) -> Any:
        answer = store().leave(one, Batch(), end=None, though_waiting=False, orphan="{}")
        over.append(one)
        return answer

    with transaction.atomic():
        Job.objects.select_for_update().get(pk=run.job_id)
        first = in_thread(lambda: leave(run))
        wait_until(_somebody_waits_for_a_lock)
        second = in_thread(lambda: leave(helper))
        wait_until(lambda: over or _waiting_for_locks() == 2)
    answers = first(), second()
    assert sorted(answer.last for answer in answers) == [False, True], answers


def test_a_participant_that_is_being_judged_lost_takes_nothing_however_old_its_snapshot() -> None:
    run, _ = begun(take=0, repeats=True)
    joined(run)
    with transaction.atomic():
        Participant.objects.filter(pk=run.run_token).delete()
        taking = in_thread(lambda: store().take_devices(run, 4))
        wait_until(_somebody_waits_for_a_lock)
    seen, taken = taking()
    assert (seen.is_mine, taken) == (False, [])
    assert not JobDevice.objects.filter(state=JobDeviceState.TAKEN.value).exists()


def test_a_participant_that_is_being_judged_lost_notes_no_step_and_so_changes_nothing() -> None:
    run, (device,) = begun(take=1, repeats=True)
    joined(run)
    with transaction.atomic():
        Participant.objects.filter(pk=run.run_token).delete()
        noting = in_thread(lambda: store().note_steps(run, [Note(device.id, "commit", None)]))
        wait_until(_somebody_waits_for_a_lock)
    assert not noting().is_mine
    assert JobDevice.objects.get(pk=device.id).step == ""


def test_a_device_that_is_just_being_noted_is_not_waited_for() -> None:
    """Its note writes that it was begun. The two statements name the same rows, each in an order of its own."""
    run, _ = begun()
    noted, other = store().take_devices(run, 0, ahead=2)[1]
    with transaction.atomic():
        store().note_steps(run, [Note(noted.id, "commit", None)])
        in_thread(lambda: store().write_devices(run, Batch(begun=[Begun(noted.id, age=0), Begun(other.id, age=0)])))()
        assert JobDevice.objects.get(pk=other.id).state == JobDeviceState.TAKEN.value
    assert JobDevice.objects.get(pk=noted.id).state == JobDeviceState.TAKEN.value


def test_what_was_taken_just_before_the_loss_is_given_back() -> None:
    run, _ = begun(take=0, repeats=True)
    joined(run)
    with transaction.atomic():
        assert len(store().take_devices(run, 4)[1]) == 4
        losing = in_thread(
            lambda: transitions.lose(run.job_id, run.run_token, type=EndReason.WORKER_LOST, message="gone")
        )
        wait_until(_somebody_waits_for_a_lock)
    assert losing()
    assert set(JobDevice.objects.values_list("state", "tries")) == {(JobDeviceState.WAITING.value, 1)}


def test_a_process_that_joins_while_the_end_of_the_run_is_written_is_refused() -> None:
    run, _ = begun()
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=run.job_id)
        Fleet.objects.update(end="{}")
        joining = in_thread(lambda: join(run))
        wait_until(_somebody_waits_for_a_lock)
    assert isinstance(joining(), Refused)
    assert Participant.objects.count() == 1


def test_a_participant_that_takes_does_not_wait_for_another_that_is_taking() -> None:
    run, _ = begun()
    helper = joined(run)
    with transaction.atomic():
        taken = store().take_devices(run, 1)[1]
        taken += in_thread(lambda: store().take_devices(helper, 1))()[1]
    assert [one.host for one in taken] == ["a", "b"]


def test_many_take_at_once_and_none_takes_anothers() -> None:
    run, _ = begun([f"sw{number}" for number in range(300)], helpers=5)
    crowd = [run, *(joined(run) for _ in range(5))]

    def take_all(one: Any) -> list[str]:
        found: list[str] = []
        while taken := store().take_devices(one, 5, of=MANY)[1]:  # as of a job with so many devices
            found += [device.host for device in taken]
        return found

    taken = [host for wait in [in_thread(lambda one=one: take_all(one)) for one in crowd] for host in wait()]  # type: ignore[misc]
    assert Counter(taken) == Counter(f"sw{number}" for number in range(300))


def test_as_many_make_room_as_jobs_wait_the_youngest_first_and_never_the_eldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, _ = begun()
    crew = [run, joined(run), joined(run)]
    beside, _ = begun(task=fleets.each_with_result)  # a younger run, without a lock
    joined(beside, task_name=fleets.each_with_result.name)
    _waits(5)
    Job.objects.filter(status=Status.SCHEDULED).update(queue="another")
    Job.objects.filter(pk=run.job_id).update(dispatched_at=database_now() - timedelta(hours=1))  # it has its slot

    def crowded() -> list[bool]:
        return [store().write_devices(one, Batch()).crowded for one in crew]

    assert crowded() == [False, False, False]
    _waits(1)
    assert crowded() == [False, False, True]
    with monkeypatch.context() as patched:
        patched.setattr(devices, "CROWDED_SECONDS", 3600)  # as of a job that was sent this moment
        assert crowded() == [False, False, False]
    _waits(5)
    assert crowded() == [False, True, True]


def test_the_job_s_row_is_locked_before_what_its_participants_have_in_common() -> None:
    """By all in one order, or two of them wait for each other."""
    run, _ = begun()
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=run.job_id)
        showing = in_thread(lambda: store().show_progress(run, seconds=0))
        wait_until(_somebody_waits_for_a_lock)
        assert Fleet.objects.filter(pk=run.job_id).update(orphan=None) == 1
    showing()
    assert Job.objects.get(pk=run.job_id).finished_devices == "[]"


def _waits(jobs: int) -> None:
    for _ in range(jobs):
        fake_jobs.nothing.schedule()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET dispatched_at = now() - interval '1 s' WHERE status = 'SCHEDULED'")


def _somebody_waits_for_a_lock() -> bool:
    return _waiting_for_locks() > 0


def _waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(cursor.fetchone()[0])
