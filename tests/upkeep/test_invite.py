"""Who is invited to help: as many as there are idle slots, never a worker's last, the run with the fewest first."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.broker import publisher
from jobs.dispatch import scheduling
from jobs.models import Fleet, Heartbeat, Job, JobDevice, Participant
from jobs.run import Run
from jobs.states import JobDeviceState
from jobs.upkeep.invite import Invite, may_have_help
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim, device_row, job_row
from tests.fake_jobs import fleets
from tests.fleet.parts import begun, joined, lose
from tests.upkeep.other_beat import other_beat_in
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def invite() -> int:
    """One round of a Beat that knows of none before."""
    sent = Invite().step()
    assert not sent or may_have_help().exists()  # or Beat makes no round
    return sent


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs of the invitations of all rounds."""
    jobs: list[int] = []

    def publish(messages: list[publisher.Message], **_: Any) -> list[int]:
        jobs.extend(message.job_id for message in messages if message.joins)
        return []

    monkeypatch.setattr(publisher, "publish", publish)
    return jobs


def worker(slots: int, *, busy: int = 0, queues: tuple[str, ...] = ("default",)) -> Heartbeat:
    now = timezone.now()
    tokens = json.dumps([f"t{number}" for number in range(busy)])
    return Heartbeat.objects.create(
        kind="worker",
        name="w@host",
        pid=1,
        started_at=now,
        last_seen=now,
        queues=json.dumps(queues),
        concurrency=slots,
        run_tokens=tokens,
    )


@pytest.mark.parametrize(
    ("slots", "invitations"), [([1, 1], 2), ([2], 1), ([4], 3), ([1, 2, 4], 3), ([], 0)]
)  # no more than helpers=3
def test_one_slot_of_each_worker_with_several_stays_free(
    asked: list[int], slots: list[int], invitations: int, heard: list[Event]
) -> None:
    run, _ = begun([f"sw{number}" for number in range(50)])
    for count in slots:
        worker(count)
    assert invite() == invitations
    assert asked == [run.job_id] * invitations
    noted = [(event.fields["job_id"], event.fields["count"]) for event in heard if event.action is JobAction.INVITE]
    assert noted == [(run.job_id, invitations)] * bool(invitations)


def test_no_slot_is_idle_that_the_heartbeat_or_the_database_knows_to_be_taken(asked: list[int]) -> None:
    row = worker(2)
    begun(worker_id=row.pk)  # by the database; the heartbeat does not know it yet
    worker(1, busy=1)
    busy = worker(2)
    assert isinstance(claim(fake_jobs.nothing.schedule(), worker_id=busy.pk), Run)
    assert invite() == 0


def test_a_slot_is_taken_once_and_by_a_run_that_goes_on(asked: list[int]) -> None:
    row = worker(3)
    begun([f"sw{number}" for number in range(50)], worker_id=row.pk)
    ended = job_row("FINISHED")
    Participant.objects.create(job=ended, worker="w@host", worker_id=row.pk, joined_at=timezone.now())
    scheduling.schedule(fake_jobs.nothing, {}, at=timezone.now() + timedelta(hours=1))  # no message was sent for it
    asked.clear()
    assert invite() == 1


def test_no_more_are_asked_than_devices_wait(asked: list[int]) -> None:
    run, _ = begun(["a", "b"], take=1)
    elsewhere = job_row("FINISHED")
    Fleet.objects.create(job=elsewhere, helpers=3, repeats=False, all_or_none=False)
    for host in "abc":
        device_row(elsewhere, host, "WAITING")
    worker(5)
    assert invite() == 1
    assert may_have_help().get().pk == run.job_id


def test_devices_that_cost_a_process_wait_for_one_that_is_alone(asked: list[int]) -> None:
    run, _ = begun(helpers=1)
    worker(1)
    JobDevice.objects.update(tries=1)
    assert invite() == 0
    assert lose(run)
    assert invite() == 1


def test_help_is_asked_for_until_the_time_limit(asked: list[int]) -> None:
    begun(task=fleets.each_limited, path="")
    Job.objects.update(start_time=F("start_time") + timedelta(hours=1))  # however slow this test is
    worker(1)
    assert invite() == 1


def test_workers_of_other_queues_and_those_that_stopped_are_not_asked_for(asked: list[int]) -> None:
    begun()
    worker(3, queues=("elsewhere",))
    Heartbeat.objects.filter(pk=worker(3).pk).update(stopped_at=timezone.now())
    assert invite() == 0


def test_jobs_that_wait_for_a_slot_come_first(asked: list[int]) -> None:
    begun()
    worker(3)
    for _ in range(2):
        fake_jobs.nothing.schedule()
    Job.objects.filter(status="SCHEDULED").update(dispatched_at=timezone.now())
    asked.clear()
    assert invite() == 0


def test_a_run_in_which_nobody_takes_part_is_asked_for_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it ends though a slot would have been free in a moment: after a restart of all workers many jobs wait."""
    sent: list[publisher.Message] = []

    def publish(messages: list[publisher.Message], **_: Any) -> list[int]:
        sent.extend(messages)
        return []

    monkeypatch.setattr(publisher, "publish", publish)
    run, _ = begun()
    Job.objects.filter(pk=run.job_id).update(priority=3)
    idle = worker(1)
    assert invite() == 1  # while somebody takes part, it goes before no other job
    Heartbeat.objects.filter(pk=idle.pk).update(run_tokens='["t"]')
    fake_jobs.nothing.schedule()
    Job.objects.filter(status="SCHEDULED").update(dispatched_at=timezone.now())
    beat = Invite()
    assert beat.step() == 0
    assert lose(run)
    assert [beat.step(), beat.step()] == [1, 0]
    joins = [(message.job_id, message.priority) for message in sent if message.joins]
    assert joins == [(run.job_id, 3), (run.job_id, 9)]


def test_those_on_their_way_are_not_asked_again(asked: list[int]) -> None:
    run, _ = begun([f"sw{number}" for number in range(50)])
    worker(3)
    beat = Invite()
    assert [beat.step(), beat.step()] == [2, 0]
    worker(1)  # has just started
    assert beat.step() == 1
    joined(run)
    assert beat.step() == 0


def test_those_who_come_unasked_make_no_room_for_more(asked: list[int]) -> None:
    run, _ = begun([f"sw{number}" for number in range(50)])
    worker(1)
    beat = Invite()
    assert beat.step() == 1
    joined(run)
    joined(run)
    worker(4)
    assert beat.step() == 1


def test_those_who_do_not_come_are_asked_again(asked: list[int], settings: Settings) -> None:
    settings.CNAASJOBS_UPKEEP_SECONDS = 0.01
    begun()
    worker(2)
    beat = Invite()
    assert beat.step() == 1
    wait_until(lambda: beat.step() == 1)


def test_a_helper_whose_message_the_broker_did_not_take_is_not_waited_for(
    asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun([f"sw{number}" for number in range(50)])
    worker(3)
    beat = Invite()
    with monkeypatch.context() as patched:
        patched.setattr(publisher, "publish", lambda messages: [messages[0].job_id])
        assert beat.step() == 1
    assert [beat.step(), beat.step()] == [1, 0]


def begun_twice() -> tuple[Any, Any]:
    """Of different locks."""
    first, _ = begun()
    Job.objects.filter(pk=first.job_id).update(lock_name=None, fence=None)
    Lock.objects.update(holder_id=None, start_time=None)
    second, _ = begun()
    return first, second


def test_the_run_with_the_fewest_is_served_first(asked: list[int]) -> None:
    first, second = begun_twice()
    Participant.objects.create(job_id=first.job_id, worker="another", joined_at=timezone.now())
    worker(1)
    assert invite() == 1
    assert asked == [second.job_id]
    worker(1)
    worker(1)
    asked.clear()
    invite()
    assert sorted(asked) == [first.job_id, second.job_id, second.job_id]


def test_those_on_their_way_to_a_run_count_as_its_own(asked: list[int]) -> None:
    first, second = begun_twice()
    beat = Invite()
    for _ in range(2):
        worker(1)
        assert beat.step() == 1
    assert asked == [first.job_id, second.job_id]


@pytest.mark.parametrize("why", ["begun", "ended", "aborted", "alone", "full", "another attempt", "late"])
def test_nobody_is_asked_where_it_is_no_use(asked: list[int], why: str) -> None:
    run, _ = begun(helpers=0 if why == "alone" else 1, task=fleets.each_limited, path="")
    worker(3)
    match why:
        case "begun":
            JobDevice.objects.update(state=JobDeviceState.TAKEN.value, participant=run.run_token)
        case "ended":
            Job.objects.get(pk=run.job_id).fleet.__class__.objects.update(end="{}")
        case "aborted":
            Job.objects.filter(pk=run.job_id).update(abort_reason="")
        case "full":
            joined(run, task_name=fleets.each_limited.name)
        case "another attempt":
            Job.objects.filter(pk=run.job_id).update(attempt=2)
        case "late":
            Job.objects.update(start_time=F("start_time") - timedelta(days=1))
    assert invite() == 0
    assert not asked
    assert may_have_help().exists() == (why != "alone")


@pytest.mark.needs("postgresql")
def test_one_beat_at_a_time_asks(postgresql: object, asked: list[int]) -> None:
    begun([f"sw{number}" for number in range(50)])
    worker(3)
    with other_beat_in("invite"):
        assert invite() == 0
    assert invite() == 2
