"""Waiting jobs, one for each reason to wait, and what every place that shows the reason must say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import Status
from tests import fake_jobs
from tests.factory.jobs import job_in, refused
from tests.factory.rows import device_row, heartbeat


@dataclass(frozen=True)
class Held:
    job: Job
    holds: tuple[str, ...]  # all that hold it, in order
    says: tuple[str, ...]  # parts of the sentences


def _served(queue: str = "default", **fields: object) -> None:
    heartbeat("celery@w1", queues=f'["{queue}"]', concurrency=4, **fields)
    heartbeat("beat", kind="beat", queues="[]")


def _its_time() -> Held:
    _served()
    job = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=3, seconds=30))
    return Held(job, ("time",), ("It is due at ", "in 3 h 00 min."))


def _a_lock_that_is_held() -> Held:
    _served()
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    for host in ("a1", "a2"):
        device_row(holder, host)
    device_row(holder, "a3", "WAITING")
    job = scheduling.schedule(fake_jobs.with_lock, {})
    refused(job)
    said = (f"It waits for lock devices, held by job {holder.pk} (with_lock) for ", "It is next in line.")
    return Held(job, ("lock",), said)


def _those_before_it_in_line() -> Held:
    _served()
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    second, third, job = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(3))
    for each in (second, third, job):
        refused(each)
    said = f"2 jobs are ahead of it in line for lock devices, first job {second.pk} (with_lock)."
    return Held(job, ("lock",), (said,))


def _a_lock_and_no_message_yet() -> Held:
    """It is due, its lock is held, and no worker has looked at it: two things hold it."""
    _served()
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    return Held(scheduling.schedule(fake_jobs.with_lock, {}), ("lock", "slot"), ("It is next in line.", "Its message"))


def _a_lock_that_has_just_come_free() -> Held:
    _served()
    job = _parked_behind_nobody()
    return Held(job, ("lock",), ("Lock devices is free; it is about to be woken.",))


def _parked_behind_nobody() -> Job:
    job = scheduling.schedule(fake_jobs.with_lock, {})
    Job.objects.filter(pk=job.pk).update(parked=True, dispatched_at=None)
    return job


def _a_free_slot() -> Held:
    _served(run_tokens='["a", "b", "c", "d"]')
    scheduling.schedule(fake_jobs.nothing, {})
    job = scheduling.schedule(fake_jobs.nothing, {})
    return Held(
        job, ("slot",), ("It waits for a free slot of queue default: 4 of 4 slots are busy, 2 jobs wait there.",)
    )


def _its_message() -> Held:
    _served()
    job = scheduling.schedule(fake_jobs.nothing, {})
    Job.objects.filter(pk=job.pk).update(dispatched_at=None)
    return Held(job, ("slot",), ("Beat is about to send its message to queue default",))


def _no_beat() -> Held:
    heartbeat("celery@w1", concurrency=4)
    heartbeat("beat-1", kind="beat", queues="[]", stopped_at=database_now())
    job = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    return Held(job, ("time", "beat"), ("No Beat is alive to send its message. The last was beat-1, seen at ",))


def _a_queue_that_nobody_serves() -> Held:
    _served("fast", stopped_at=database_now())
    job = scheduling.schedule(fake_jobs.nothing, {}, queue="fast")
    return Held(job, ("queue",), ("No live worker serves its queue fast. The last was celery@w1, seen at ",))


def _a_task_that_nobody_knows() -> Held:
    _served()
    job = scheduling.schedule(fake_jobs.nothing, {})
    Job.objects.filter(pk=job.pk).update(task_name="gone.task")
    said = ("No process here knows its task gone.task. If no worker does, it ends as UnknownTask when ",)
    return Held(job, ("task", "slot"), said)


def _no_second_person() -> Held:
    """Its lock, and that nobody serves its queue, do not hold it yet."""
    _served()
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    job = scheduling.schedule(fake_jobs.guarded, {}, queue="fast")
    return Held(
        job,
        ("approval",),
        ("It waits for approval by another person: it always does. If nobody approves it, it ends at ",),
    )


HELD: dict[str, Callable[[], Held]] = {
    "no second person": _no_second_person,
    "its time": _its_time,
    "a lock that is held": _a_lock_that_is_held,
    "those before it in line": _those_before_it_in_line,
    "a lock, and no message yet": _a_lock_and_no_message_yet,
    "a lock that has just come free": _a_lock_that_has_just_come_free,
    "a free slot": _a_free_slot,
    "its message": _its_message,
    "no Beat": _no_beat,
    "a queue that nobody serves": _a_queue_that_nobody_serves,
    "a task that nobody knows": _a_task_that_nobody_knows,
}


def held_by(what: str) -> Held:
    held = HELD[what]()
    held.job.refresh_from_db()
    return held
