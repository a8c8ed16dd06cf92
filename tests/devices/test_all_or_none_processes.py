"""confirm_mode 2 in three real workers, of which one or all die before or after a decision."""

from collections import Counter
from pathlib import Path

import pytest

from devices.lab.driver import LabDriver
from jobs.models import JobDevice
from jobs.states import Status
from tests.devices.held import HOSTS, Trio
from tests.devices.lab import Lab, ended, reason
from tests.services.processes import Platform

pytestmark = [pytest.mark.long, pytest.mark.needs("postgresql", "rabbitmq")]


@pytest.fixture
def trio(postgresql: object, rabbitmq: object, site: Platform, lab: Lab, tmp_path: Path) -> Trio:
    return Trio(site, lab, tmp_path / "drivers", mode=2)


def test_who_dies_before_all_are_prepared_keeps_all_from_being_committed(trio: Trio) -> None:
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
        words = "was lost" if host in had else "confirm_mode 2 is all devices or none"
        assert words in reason(job, host)


def test_who_dies_in_the_middle_of_the_commits_makes_all_of_them_revert(trio: Trio) -> None:
    trio.hold("commit", "sw0")
    trio.release("compare")
    trio.until("commit", trio.others("sw0"))
    victim = next(host for host, name in trio.names().items() if name != trio.names()["sw0"])
    had = trio.kill_who_has(victim)
    trio.release("commit", "sw0")
    job = trio.ended()
    assert trio.done("confirm") == []
    assert trio.changed() == []
    for host in HOSTS:
        words = "was lost in commit: the device reverts by itself by" if host in had else "all devices or none"
        assert words in reason(job, host)


def test_who_dies_after_all_may_confirm_fails_its_own_devices_alone(trio: Trio) -> None:
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
    assert [host for host in HOSTS if LabDriver(host).has_pending_commit()] == trio.others("sw0")
    assert trio.changed() == []
    trio.site.beat()
    job = ended(trio.job.pk)
    assert (job.status, job.exception_type) == (Status.EXCEPTION, "WorkerLost")
    assert trio.done("confirm") == []
    for host in HOSTS:
        row = JobDevice.objects.get(job=job, host=host)
        assert "the device reverts by itself by" in (row.reason or "")
