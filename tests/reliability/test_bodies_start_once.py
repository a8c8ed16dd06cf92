"""Promise 2: a body starts once per attempt, and a lock never has two holders."""

from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.broker import publisher
from jobs.broker.publisher import Message
from jobs.dispatch.scheduling import schedule, schedule_many
from jobs.models import Job
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import operate, operate_again_if_lost, operate_locked
from tests.reliability.conftest import Fleet, ended, finished
from tests.reliability.scale import within
from tests.services import PostgreSQL, RabbitMQ

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


def _send_again(jobs: list[Job]) -> None:
    messages = [Message(job_id=job.pk, task_name=job.task_name, queue=job.queue, priority=0) for job in jobs]
    assert publisher.publish(messages) == []


@pytest.mark.long
def test_every_message_delivered_twice_with_three_beats_and_old_and_new_workers(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    for number in range(3):
        fleet.beat(f"beat{number}")
    old, _new = fleet.worker("old"), fleet.worker("new")
    soon = database_now() + timedelta(seconds=1)
    jobs = [
        *schedule_many(operate, [{} for _ in range(20)]),
        *schedule_many(operate_locked, [{} for _ in range(10)]),
        *schedule_many(operate, [{} for _ in range(20)], at=soon),
    ]
    _send_again(jobs)
    old.signal(15)  # as in a rolling upgrade
    _send_again(jobs)
    finished(jobs, timeout=60)
    _send_again(jobs)
    last = schedule(operate, {})
    finished([last])
    assert set(fleet.begins(jobs).values()) == {1}
    assert {job.attempt for job in Job.objects.all()} == {1}


def test_a_redelivery_after_a_lost_connection_starts_nothing_again(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    fleet.beat()
    fleet.worker()
    jobs = schedule_many(operate, [{"count": 5, "seconds": 0.2} for _ in range(8)])
    fleet.wait_for_any(jobs)
    for _ in range(3):
        rabbitmq.cut_connections()
    finished(jobs, timeout=60)
    assert set(fleet.begins(jobs).values()) == {1}


@pytest.mark.parametrize("frozen", ["worker", "main process"])
def test_a_holder_frozen_past_its_rescue_starts_no_further_device(
    frozen: str, postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet
) -> None:
    """If only its main process is frozen, its children work on while the lock is given to somebody else."""
    fleet.beat()
    first = fleet.worker("first")
    holder = schedule(operate_locked, {"count": 10_000, "seconds": 0.02})
    fleet.wait_for(Event.DONE, holder, count=3)
    fleet.worker("second")
    following = schedule(operate_locked, {"count": 3, "seconds": 0.1})
    first.freeze() if frozen == "worker" else first.signal(19)
    assert ended(holder, timeout=within(60)).exception_type == "WorkerLost"
    finished([following], timeout=30)
    first.thaw()
    end = fleet.wait_for(Event.END, holder)
    assert end.how == "RunTaken"  # a LockLost: its run was given to somebody else
    begun = fleet.wait_for(Event.BEGIN, following).wall
    late = [line for line in fleet.lines(holder) if line.event is Event.CHECK and line.wall > begun]
    assert len(late) <= 1
    late_devices = {line.device for line in late}
    passed = [line for line in fleet.lines(holder) if line.event is Event.GO and line.device in late_devices]
    assert passed == []
    holder.refresh_from_db()
    assert holder.exception_type == "WorkerLost"


def test_only_a_job_declared_rerun_if_lost_runs_again(postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet) -> None:
    fleet.beat()
    worker = fleet.worker()
    again = schedule(operate_again_if_lost, {"count": 100, "seconds": 0.05})
    not_again = schedule(operate, {"count": 100, "seconds": 0.05})
    for job in (again, not_again):
        fleet.wait_for(Event.DONE, job)
    worker.kill_tree()
    fleet.worker("second")
    assert ended(not_again, timeout=within(60)).exception_type == "WorkerLost"
    finished([again], timeout=30)
    assert fleet.begins([again, not_again]) == {again.pk: 2, not_again.pk: 1}
