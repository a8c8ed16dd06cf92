"""A shared sync with a worker that freezes, without any worker for a while, without its broker, and on Redis."""

from collections import Counter
from pathlib import Path

import pytest

from jobs.broker import publisher
from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from jobs.testing import result_of
from tests import fake_jobs
from tests.fake_jobs.fleets import each_until_file
from tests.fake_jobs.lasting import wait_for_file
from tests.fleet.real import QUICK, Sync, workers
from tests.services import RabbitMQ
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = pytest.mark.long


@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_frozen_worker_s_devices_failed_and_none_is_begun_again(
    postgresql: object, rabbitmq: object, platform: Platform, scratch: Path
) -> None:
    platform.beat(env=QUICK)
    _, frozen = workers(platform, "w1", "w2")
    sync = Sync(scratch, 10)
    sync.wait_for_processes(2)
    wait_until(lambda: len(sync.lines("B")) == 4, timeout=30)
    pids = {child.pid for child in frozen.children()}
    had = {device for device, pid in sync.lines("B") if pid in pids}
    frozen.freeze()
    failed = JobDevice.objects.filter(job=sync.job, failed=True)
    wait_until(lambda: failed.count() == 2, timeout=60)
    sync.path.touch()
    frozen.thaw()
    job = sync.ended()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert set(failed.values_list("host", flat=True)) == had
    assert Counter(device for device, _ in sync.lines("B")) == Counter(sync.hosts)


@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_dry_run_whose_processes_are_all_dead_goes_on_in_another(
    postgresql: object, rabbitmq: object, platform: Platform, scratch: Path
) -> None:
    platform.beat(env=QUICK)
    workers(platform, "spare")
    other = wait_for_file.schedule(path=str(scratch / "spare"))
    wait_until(lambda: type(other).objects.filter(pk=other.pk, status="RUNNING").exists(), timeout=60)
    dying = workers(platform, "w1", "w2")
    sync = Sync(scratch, 8, dry_run=True)
    sync.wait_for_processes(2)
    wait_until(lambda: len(sync.lines("B")) == 4, timeout=30)
    for worker in dying:
        worker.kill_tree()
    (scratch / "spare").touch()
    sync.path.touch()
    job = sync.ended()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    result = result_of(job)
    assert result is not None
    assert list(result["devices"]) == sync.hosts
    assert JobDevice.objects.filter(job=job, tries=1).count() == 4
    assert Counter(device for device, _ in sync.lines("E")) == Counter(sync.hosts)


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_sync_needs_no_broker_once_it_has_begun(
    postgresql: object, rabbitmq: RabbitMQ, platform: Platform, scratch: Path
) -> None:
    beat = platform.beat(env=QUICK)
    workers(platform, "w1", "w2")
    sync = Sync(scratch, 20)
    sync.wait_for_processes(2)
    rabbitmq.kill()
    sync.path.touch()
    job = sync.ended()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert Counter(device for device, _ in sync.lines("E")) == Counter(sync.hosts)
    assert len({pid for _, pid in sync.lines("E")}) == 2
    assert beat.running


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("postgresql", "rabbitmq")
def test_lost_invitations_are_sent_again(
    postgresql: object, rabbitmq: RabbitMQ, platform: Platform, scratch: Path
) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1")
    sync = Sync(scratch, 10)
    sync.wait_for_processes(1)
    rabbitmq.kill()
    rabbitmq.erase()
    rabbitmq.start()
    workers(platform, "w2")
    sync.wait_for_processes(2)
    sync.path.touch()
    assert sync.ended().status == Status.FINISHED
    assert not Participant.objects.exists()


@pytest.mark.needs("postgresql", "redis")
def test_idle_workers_are_invited_through_redis_too(
    postgresql: object, redis: object, platform: Platform, scratch: Path
) -> None:
    platform.beat(env=QUICK)
    workers(platform, "w1", "w2")
    sync = Sync(scratch, 12)
    sync.wait_for_processes(2)
    sync.path.touch()
    job = sync.ended()
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    assert Counter(device for device, _ in sync.lines("E")) == Counter(sync.hosts)
    assert len({pid for _, pid in sync.lines("E")}) == 2


@pytest.mark.needs("postgresql", "redis")
def test_an_invitation_through_redis_that_is_too_old_is_dropped_by_the_worker(
    postgresql: object, redis: object, platform: Platform, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis itself drops no message."""
    workers(platform, "w1")
    sync = Sync(scratch, 10)
    sync.wait_for_processes(1)
    invitation = publisher.Message(sync.job.pk, each_until_file.name, "default", 0, joins=True)
    with monkeypatch.context() as patched:
        patched.setattr(publisher, "_JOIN_SECONDS", -1)
        assert publisher.publish([invitation] * 3) == []
    workers(platform, "w2")
    behind = fake_jobs.nothing.schedule()
    wait_until(lambda: Job.objects.get(pk=behind.pk).status == Status.FINISHED, timeout=30)
    assert Participant.objects.count() == 1
    assert publisher.publish([invitation]) == []
    sync.wait_for_processes(2)
    sync.path.touch()
    assert sync.ended().status == Status.FINISHED
