"""Real Beats beside a real worker, on the suite's database and broker."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.models import Heartbeat, Job
from jobs.testing import exception_of
from tests import fake_jobs
from tests.factory import ago, by, daily, every
from tests.needs import libfaketime
from tests.services import PostgreSQL, RabbitMQ
from tests.services.processes import Platform
from tests.switching import purge_broker
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 30.0  # seconds; for whatever takes a moment on a busy machine


def ended(count: int) -> bool:
    return Job.objects.filter(status="FINISHED").count() == count


def lost_in(seconds: float) -> dict[str, str]:
    """Environment in which a worker is given up after this time."""
    return {
        "CNAASJOBS_WORKER_LOST_SECONDS": str(seconds),
        "CNAASJOBS_HEARTBEAT_SECONDS": str(seconds / 10),
        "CNAASJOBS_UPKEEP_SECONDS": str(seconds / 10),
    }


@contextmanager
def frozen(service: Any) -> Iterator[None]:
    service.freeze()
    try:
        yield
    finally:
        service.thaw()


def test_a_job_due_later_starts_at_its_time_and_never_early(platform: Platform) -> None:
    platform.beat()
    platform.worker()
    now = database_now()
    for number in range(20):
        scheduling.schedule(fake_jobs.nothing, {}, at=now + timedelta(seconds=1 + number * 0.05))
    past = scheduling.schedule(fake_jobs.nothing, {}, at=now - timedelta(days=1))
    wait_until(lambda: ended(21), timeout=SOON)
    started = [job.start_time for job in Job.objects.exclude(pk=past.pk) if job.start_time]
    assert all(job.start_time and job.start_time >= job.scheduled_time for job in Job.objects.all())
    assert max(started) - now < timedelta(seconds=SOON)


def fired_no_time_twice(name: str, *, every_seconds: int) -> int:
    """How often this schedule fired: no more often than it had times since it was made.

    How far two of its jobs are apart says nothing. A fire that had to wait is made late, and the next one in time.
    """
    fires = Job.objects.filter(scheduled_by=by(name)).count()
    assert fires * timedelta(seconds=every_seconds) <= database_now() - PeriodicTask.objects.get(name=name).date_changed
    return fires


def test_three_beats_fire_each_time_once(platform: Platform) -> None:
    every(1)
    daily((database_now() - timedelta(hours=7)).hour, name="missed", last_run_at=ago(days=3))
    for number in range(20):  # due when all three have read them, unless the machine is busy; then not for an hour
        every(3600, name=f"hourly {number}", last_run_at=ago(seconds=3600 - 3))
    for number in range(3):
        platform.beat(f"beat{number}")
    wait_until(lambda: Job.objects.filter(scheduled_by=by("often")).count() >= 5, timeout=SOON)
    wait_until(lambda: Job.objects.filter(scheduled_by__contains="hourly").count() >= 20, timeout=SOON)
    for process in list(platform.processes):
        process.stop()
    assert PeriodicTask.objects.get(name="often").total_run_count == fired_no_time_twice("often", every_seconds=1)
    once = Job.objects.exclude(scheduled_by=by("often")).values_list("scheduled_by", flat=True)
    assert Counter(once) == {by(name): 1 for name in ("missed", *(f"hourly {number}" for number in range(20)))}


def test_an_edit_takes_effect_within_seconds(platform: Platform) -> None:
    row = every(3600)
    platform.beat()
    wait_until(lambda: Heartbeat.objects.filter(kind="beat", counter__gte=1).exists(), timeout=SOON)
    row.interval.every = 1
    row.interval.save()
    wait_until(lambda: Job.objects.count() >= 2, timeout=SOON)  # without the edit it would take an hour


def test_a_recurring_task_that_is_no_job_runs_and_its_result_is_kept(platform: Platform) -> None:
    every(3600, task="tests.fake_jobs.plain", args="[21]", name="plain", last_run_at=ago(days=1))
    platform.beat()
    platform.worker()
    result = wait_until(lambda: TaskResult.objects.filter(status="SUCCESS").first(), timeout=SOON)
    assert result.result == "42"
    assert result.periodic_task_name == "plain"
    assert Job.objects.count() == 0


def test_a_recurring_task_that_is_no_job_comes_once_when_the_broker_is_back(platform: Platform, broker: str) -> None:
    every(3600, task="tests.fake_jobs.plain", args="[21]", name="plain", last_run_at=ago(days=1))
    nowhere = "amqp://guest:guest@127.0.0.1:1//"
    beat = platform.beat("away", env={"CELERY_BROKER_URL": nowhere})
    beat.wait_for_output("schedule plain: not sent, will be tried again")
    wait_until(lambda: PeriodicTask.objects.get(name="plain").total_run_count == 0, timeout=SOON)
    beat.stop()
    platform.beat("back")
    platform.worker()
    wait_until(lambda: TaskResult.objects.filter(status="SUCCESS").exists(), timeout=SOON)
    wait_until(lambda: PeriodicTask.objects.get(name="plain").total_run_count == 1, timeout=SOON)
    assert TaskResult.objects.count() == 1


def test_beat_shows_itself_and_says_goodbye(platform: Platform) -> None:
    beat = platform.beat()
    wait_until(lambda: Heartbeat.objects.filter(kind="beat", counter__gte=1).exists(), timeout=SOON)
    beat.stop()
    row = Heartbeat.objects.get(kind="beat")
    assert row.pid == beat.pid
    assert row.stopped_at is not None
    assert "Traceback" not in beat.output()


def test_a_lost_message_is_sent_again_and_its_job_runs(platform: Platform) -> None:
    jobs = [fake_jobs.nothing.schedule() for _ in range(3)]
    purge_broker(["default"])
    platform.beat(env={"CNAASJOBS_REPUBLISH_AFTER_SECONDS": "1", "CNAASJOBS_UPKEEP_SECONDS": "0.5"})
    platform.worker()
    wait_until(lambda: ended(len(jobs)), timeout=SOON)


def test_a_job_of_an_unknown_task_ends_as_exception(platform: Platform) -> None:
    job = fake_jobs.nothing.schedule()
    purge_broker(["default"])
    Job.objects.filter(pk=job.pk).update(task_name="gone.task", scheduled_time=ago(seconds=3))
    short = {
        "CNAASJOBS_REPUBLISH_AFTER_SECONDS": "1",
        "CNAASJOBS_UPKEEP_SECONDS": "0.5",
        "CNAASJOBS_UNKNOWN_TASK_SECONDS": "2",
    }
    platform.beat(env=short)
    platform.worker(env=short)
    wait_until(lambda: Job.objects.filter(exception_type="UnknownTask").exists(), timeout=SOON)


def test_a_killed_worker_s_job_is_rescued_its_lock_free_and_the_next_started(platform: Platform) -> None:
    platform.beat(env=lost_in(6))
    first = fake_jobs.with_lock.schedule(seconds=600)
    worker = platform.worker("doomed", env=lost_in(6))
    wait_until(lambda: Job.objects.filter(pk=first.pk, status="RUNNING").exists(), timeout=SOON)
    second = fake_jobs.with_lock.schedule(seconds=0)
    platform.worker("heir", env=lost_in(6))
    worker.kill_tree()
    wait_until(lambda: Job.objects.filter(pk=first.pk, exception_type="WorkerLost").exists(), timeout=SOON)
    wait_until(lambda: Job.objects.filter(pk=second.pk, status="FINISHED").exists(), timeout=SOON)
    first.refresh_from_db()
    failure = exception_of(first)
    assert failure is not None
    assert "doomed@" in failure["message"]


@pytest.mark.needs("postgresql")
def test_beat_goes_on_after_the_database_was_restarted_twice(postgresql: PostgreSQL, platform: Platform) -> None:
    every(1)
    beat = platform.beat()
    platform.worker()
    for _ in range(2):
        _wait_for_fires(postgresql, 1)
        postgresql.restart()
    _wait_for_fires(postgresql, 2)
    connection.close()
    job = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(seconds=0.5))
    wait_until(lambda: Job.objects.filter(pk=job.pk, status="FINISHED").exists(), timeout=SOON)
    assert beat.running


def _wait_for_fires(postgresql: PostgreSQL, more: int) -> None:
    def count() -> int:
        return int(postgresql.execute("SELECT count(*) FROM jobs_job")[0][0])

    before = count()
    wait_until(lambda: count() >= before + more, timeout=SOON)


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("rabbitmq")
def test_a_broker_that_hangs_stops_neither_rescue_nor_heartbeat_nor_schedules(
    rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.beat(env=lost_in(6))
    lost = fake_jobs.nap.schedule(seconds=600)
    doomed = platform.worker("doomed", env=lost_in(6))
    wait_until(lambda: Job.objects.filter(pk=lost.pk, status="RUNNING").exists(), timeout=SOON)
    every(1)
    wait_until(lambda: Job.objects.filter(scheduled_by=by("often")).exists(), timeout=SOON)
    with frozen(rabbitmq):
        doomed.kill_tree()
        fired, beats = Job.objects.count(), Heartbeat.objects.get(kind="beat").counter
        wait_until(lambda: Job.objects.filter(pk=lost.pk, exception_type="WorkerLost").exists(), timeout=SOON)
        wait_until(lambda: Job.objects.count() >= fired + 2, timeout=SOON)
        assert Heartbeat.objects.get(kind="beat").counter > beats
    platform.worker("heir", env=lost_in(6))
    wait_until(lambda: Job.objects.filter(scheduled_by=by("often"), status="FINISHED").count() >= 3, timeout=SOON)


@pytest.mark.needs("faketime", "postgresql")
@pytest.mark.parametrize("offset", ["+3600", "-3600"])
def test_a_beat_whose_clock_is_an_hour_off_fires_nothing_twice_and_nothing_early(
    postgresql: PostgreSQL, platform: Platform, offset: str
) -> None:
    every(2)
    daily((database_now() + timedelta(minutes=59)).hour, minute=59, name="not now")
    platform.beat("right")
    skewed = {
        "LD_PRELOAD": str(libfaketime()),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(Path(__file__).parents[1] / "reliability" / "faketime"),
    }
    platform.beat("wrong", env=skewed)
    platform.worker()
    wait_until(lambda: Heartbeat.objects.filter(kind="beat", counter__gte=1).count() == 2, timeout=SOON)
    later = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(minutes=30))
    soon = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(seconds=1))
    wait_until(lambda: Job.objects.filter(pk=soon.pk, status="FINISHED").exists(), timeout=SOON)
    wait_until(lambda: fired_no_time_twice("often", every_seconds=2) >= 4, timeout=SOON)
    later.refresh_from_db()
    assert later.dispatched_at is None
    assert not Job.objects.filter(scheduled_by=by("not now")).exists()
    stays(lambda: Heartbeat.objects.filter(kind="beat", stopped_at__isnull=True).count() == 2, seconds=0.5)
