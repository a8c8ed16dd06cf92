"""confirm_mode 2 in three real workers: a device of one fails, or one or all of them die before or after a decision."""

from collections import Counter
from pathlib import Path

import pytest
from django.db import connection, transaction

from jobs.device_models import LOST
from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from locks.models import Lock
from tests.devices.held import HOSTS, Trio
from tests.devices.lab import Lab, ended, reason
from tests.services import PostgreSQL
from tests.services.processes import Platform
from tests.services.standby import Standby
from tests.switching import on_database
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.needs("postgresql", "rabbitmq")]

ALL_OR_NONE = "confirm_mode 2 is all devices or none"


@pytest.fixture
def trio(postgresql: object, rabbitmq: object, site: Platform, lab: Lab, tmp_path: Path) -> Trio:
    return Trio(site, lab, tmp_path / "drivers", mode=2)


def test_one_worker_fails_in_each_way_there_is(trio: Trio, postgresql: PostgreSQL) -> None:
    """Three syncs, because three workers take long to start."""
    a_device_fails_in_preparation(trio)
    trio.begin()
    a_device_fails_in_its_commit(trio)
    trio.begin()
    the_last_one_dies_as_it_stores_the_result(trio, postgresql)


def a_device_fails_in_preparation(trio: Trio) -> None:
    """The other workers hear of it at once, while that one still has a device to prepare."""
    bad, beside = trio.of("w2")
    trio.hold("compare", bad, beside)
    trio.release("compare")
    trio.until("compare", trio.others(bad, beside))
    with trio.refusing("compare", bad):
        trio.release("compare", bad)
        wait_until(lambda: sorted(trio.why_failed()) == trio.others(beside), timeout=60)
    trio.release("compare", beside)
    job = trio.ended()
    assert trio.done("to-commit") == trio.changed() == []
    said = dict.fromkeys(trio.others(bad), f"not committed because of {bad}: {ALL_OR_NONE}")
    said[bad] = "cannot compare configurations: compare refused"
    assert trio.why_failed() == said == {host: reason(job, host) for host in HOSTS}


def a_device_fails_in_its_commit(trio: Trio) -> None:
    """The other workers take theirs back at once, while that one still commits a device."""
    bad, beside = trio.of("w2")
    others = trio.others(bad, beside)
    trio.hold("commit", bad, beside)
    trio.release("compare")
    trio.until("to-commit", HOSTS)
    trio.until("commit", others)
    assert trio.pending() == others
    with trio.refusing("commit", bad):
        trio.release("commit", bad)
        wait_until(lambda: sorted(trio.why_failed()) == trio.others(beside), timeout=60)
    assert trio.pending() == []
    trio.release("commit", beside)
    job = trio.ended()
    assert trio.done("commit") == trio.done("rollback") == trio.others(bad)
    assert trio.done("to-confirm") == trio.pending() == trio.changed() == []
    said = dict.fromkeys(trio.others(bad), f"committed, and rolled back because of {bad}: {ALL_OR_NONE}")
    said[bad] = "commit failed: commit refused"
    assert trio.why_failed() == said == {host: reason(job, host) for host in HOSTS}


def the_last_one_dies_as_it_stores_the_result(trio: Trio, postgresql: PostgreSQL) -> None:
    """All devices are over and all workers have left: nobody is there to end the job but upkeep, or that worker."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE jobs_joboutcome IN SHARE ROW EXCLUSIVE MODE")
        trio.release("compare")
        wait_until(lambda: not Participant.objects.exists(), timeout=60)
        postgresql.until_blocked()
        last = (Job.objects.get(pk=trio.job.pk).worker or "").partition("@")[0]
        trio.workers[last].children()[0].kill()
        postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    job = ended(trio.job.pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert trio.why_failed() == dict.fromkeys(HOSTS)
    assert trio.done("confirm") == trio.changed() == HOSTS
    assert not Lock.objects.filter(holder_id__isnull=False).exists()


def test_a_process_that_dies_before_all_are_prepared_keeps_all_from_being_committed(trio: Trio) -> None:
    trio.hold("compare", "sw0")
    trio.release("compare")
    trio.until("compare", trio.others("sw0"))
    victim = next(host for host, name in trio.names().items() if name != trio.names()["sw0"])
    had = trio.kill_who_has(victim)
    trio.release("compare", "sw0")
    job = trio.ended()
    assert trio.done("commit") == []
    assert trio.changed() == []
    for host in HOSTS:
        words = "was lost" if host in had else ALL_OR_NONE
        assert words in reason(job, host)


def test_a_process_that_dies_in_the_middle_of_the_commits_makes_all_of_them_revert(trio: Trio) -> None:
    """One of its devices is committed, the other one about to be."""
    victim = next(host for host, name in trio.names().items() if name != trio.names()["sw0"])
    trio.hold("commit", "sw0", victim)
    trio.release("compare")
    trio.until("to-commit", HOSTS)
    trio.until("commit", trio.others("sw0", victim))
    had = trio.kill_who_has(victim)
    trio.release("commit", "sw0")
    job = trio.ended()
    assert trio.done("confirm") == []
    assert trio.changed() == []
    for host in HOSTS:
        words = "was lost in commit: the device reverts by itself by" if host in had else "all devices or none"
        assert words in reason(job, host)


def test_a_process_that_dies_after_all_may_confirm_fails_its_own_devices_alone(trio: Trio) -> None:
    had = [host for host, name in trio.names().items() if name == trio.names()["sw0"]]
    stays = trio.others(*had)[0]
    trio.hold("confirm", *had, stays)
    trio.release("compare")
    trio.until("confirm", trio.others(*had, stays))
    trio.until("to-confirm", HOSTS)
    assert sorted(trio.kill_who_has("sw0")) == sorted(had)
    trio.release("confirm", stays)
    job = trio.ended()
    assert trio.changed() == trio.others(*had)
    for host in had:  # the confirm may have reached it
        assert "was lost in confirm: its state is not known" in reason(job, host)
    failed = JobDevice.objects.filter(job=job, failed=True).values_list("host", flat=True)
    assert sorted(failed) == sorted(had)
    assert Counter(trio.done("commit")) == Counter(HOSTS)


def test_when_everything_dies_between_commit_and_confirm_every_device_reverts(trio: Trio) -> None:
    trio.hold("commit", "sw0")
    trio.release("compare")
    trio.until("commit", trio.others("sw0"))
    trio.site.kill()
    assert trio.pending() == trio.others("sw0")
    assert trio.changed() == []
    trio.site.beat()
    job = ended(trio.job.pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert trio.done("confirm") == []
    for host in HOSTS:
        row = JobDevice.objects.get(job=job, host=host)
        assert "the device reverts by itself by" in (row.reason or "")


def test_after_a_failover_to_a_standby_that_was_behind_all_are_taken_back(
    postgresql: PostgreSQL, rabbitmq: object, site: Platform, lab: Lab, scratch: Path, tmp_path: Path
) -> None:
    """It has not heard that all may commit. The processes find it by their DATABASE_URL, which names both servers."""
    with Standby(scratch / "standby", of=postgresql) as standby:
        both = f"127.0.0.1:{postgresql.port},127.0.0.1:{standby.port}"
        url = postgresql.url.replace(f"127.0.0.1:{postgresql.port}", both) + "?target_session_attrs=read-write"
        site.env["DATABASE_URL"] = url
        with on_database(url):
            trio = Trio(site, lab, tmp_path / "drivers", mode=2)
            trio.hold("commit")
            standby.catches_up()
            standby.hears_no_more()
            trio.release("compare")
            trio.until("to-commit", HOSTS)
            postgresql.kill()
            standby.promote()
            connection.close()
            trio.release("commit")
            job = trio.ended()
            assert trio.done("commit") == HOSTS
            assert trio.done("to-confirm") == trio.changed() == []  # by a rollback, or its timer
            assert all(f"because of {LOST}" in reason(job, host) for host in HOSTS)
