"""Real workers and a Beat: idle workers are invited and help, whichever dies, and while the database is away."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from jobs.testing import result_of
from tests.fake_jobs import fleets
from tests.fake_jobs.fleets import each_limited
from tests.fleet.real import QUICK, Sync, workers
from tests.reliability.scale import FACTOR
from tests.services import PostgreSQL
from tests.services.processes import Platform
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

AWAY_SECONDS = 300 if FACTOR == 1 else 0


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """Nobody is asked to help where one process writes at a time."""


def test_idle_workers_help_and_one_slot_of_each_stays_free(platform: Platform, scratch: Path) -> None:
    platform.beat(env=QUICK)
    first, second = workers(platform, "w1", "w2", concurrency=2)
    sync = Sync(scratch, 12, dry_run=True)
    sync.wait_for_processes(2)
    assert Participant.objects.count() == 2
    lost = Participant.objects.get(token=str(Job.objects.get(pk=sync.job.pk).run_token))
    killed = first if lost.worker.startswith("w1@") else second
    killed.signal(signal.SIGKILL)  # the first participant's whole worker
    wait_until(lambda: not Participant.objects.filter(pk=lost.pk).exists(), timeout=60)
    job = Job.objects.get(pk=sync.job.pk)
    assert job.status == Status.RUNNING
    assert Participant.objects.filter(token=str(job.run_token)).exists()
    sync.path.touch()
    job = sync.ended()
    assert job.status == Status.FINISHED
    assert list(result_of(job)["devices"]) == sync.hosts
    assert len(sync.lines("A")) == 1
    assert Counter(device for device, _ in sync.lines("E")) == Counter(sync.hosts)
    assert JobDevice.objects.filter(job=job, tries=1).count() == 2


def test_a_killed_process_of_a_live_run_fails_what_it_had_and_nothing_else(platform: Platform, scratch: Path) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1", "w2")
    sync = Sync(scratch, 10)
    sync.wait_for_processes(2)
    wait_until(lambda: len(sync.lines("B")) == 4, timeout=30)
    pid = sync.lines("B")[0][1]
    had = {device for device, of in sync.lines("B") if of == pid}
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: JobDevice.objects.filter(failed=True).count() == 2, timeout=60)
    sync.path.touch()
    job = sync.ended()
    assert job.status == Status.FINISHED
    failed = dict(JobDevice.objects.filter(job=job, failed=True).values_list("host", "reason"))
    assert set(failed) == had
    assert all(reason and "was lost in commit: it reverts by itself" in reason for reason in failed.values())
    assert Counter(device for device, _ in sync.lines("E")) == Counter(set(sync.hosts) - had)


def test_a_device_that_kills_its_process_is_begun_again_alone_and_only_once(platform: Platform) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1")
    job = fleets.each_helped.schedule(hosts=["bad=kills", "a=naps:1", "b=naps:1", "c=naps:1"])
    wait_until(lambda: Job.objects.filter(pk=job.pk, finish_time__isnull=False).exists(), timeout=60)
    job.refresh_from_db()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    rows = JobDevice.objects.filter(job=job).order_by("place")
    assert list(rows.values_list("tries", "failed")) == [(2, True), (1, False), (1, False), (1, False)]


def test_a_database_that_is_away_costs_time_and_nothing_else(
    platform: Platform, scratch: Path, postgresql: PostgreSQL
) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1", "w2")
    sync = Sync(scratch, 30, seconds=0.2)
    sync.path.touch()
    sync.wait_for_processes(2)
    connection.close()
    postgresql.kill()
    stays(lambda: True, seconds=AWAY_SECONDS)
    postgresql.start()
    job = sync.ended()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert Counter(device for device, _ in sync.lines("E")) == Counter(sync.hosts)
    assert JobDevice.objects.filter(job=job, failed=False).count() == 30
    assert len(sync.lines("A")) == 1


def test_the_soft_limit_of_the_job_s_start_stops_all_its_processes(platform: Platform, scratch: Path) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1", "w2")
    sync = Sync(scratch, 20, task=each_limited)
    job = sync.ended()
    assert job.exception_type == "TimeLimitExceeded"
    assert len({pid for _, pid in sync.lines("B")}) == 2
    assert Counter(sync.lines("B")) == Counter(sync.lines("E"))
    assert JobDevice.objects.filter(job=job, state="WAITING").count() == 20 - len(sync.lines("B"))
    assert JobDevice.objects.filter(job=job, failed=True).count() == len(sync.lines("B"))
    assert not Participant.objects.exists()
