"""Invitations that come too late, to real workers: each is refused in a few milliseconds, and keeps nobody waiting."""

from pathlib import Path

import pytest

from jobs.broker import publisher
from jobs.models import Job, Participant
from jobs.states import Status
from tests.fake_jobs.lasting import wait_for_file
from tests.fleet.real import Sync, workers
from tests.services import RabbitMQ
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


def invitation(job: Job) -> publisher.Message:
    return publisher.Message(job.pk, job.task_name, job.queue, job.priority, joins=True)


def running(jobs: list[Job]) -> int:
    return Job.objects.filter(pk__in=[job.pk for job in jobs], status=Status.RUNNING).count()


def test_refused_invitations_leave_no_job_waiting_behind_a_long_one(
    postgresql: object, rabbitmq: RabbitMQ, platform: Platform, scratch: Path
) -> None:
    """Tasks as quick as these let a worker have the next message before its slot is free.

    If a long job is among them, what came ahead of it must go back to the broker, for a worker that is idle.
    """
    workers(platform, "first")
    sync = Sync(scratch, 2)
    wait_until(lambda: len(sync.lines("B")) == 2)  # nothing is left to help with
    (invited,) = workers(platform, "invited")
    for number in range(1, 4):
        end = scratch / f"end{number}"
        assert publisher.publish([invitation(sync.job)] * 100) == []
        long = wait_for_file.schedule_many([{"path": str(end)}] * 2)
        wait_until(lambda long=long: running(long) == 1)  # type: ignore[misc]
        assert invited.output().count("needs no help") == 100 * number
        wait_until(lambda: not any(rabbitmq.unacknowledged().values()), message="it holds a message without a slot")
        (idle,) = workers(platform, f"idle{number}")
        wait_until(lambda long=long: running(long) == 2)  # type: ignore[misc]
        idle.signal(15)
        end.touch()
        idle.wait()
    assert Participant.objects.count() == 1
    sync.path.touch()
    assert sync.ended().status == Status.FINISHED
