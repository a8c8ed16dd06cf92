"""What a job does for many devices at once: preparing them before they begin, and recording their steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from jobs.body import membership, shared_read
from jobs.body.membership import Membership
from jobs.fleet import ahead
from jobs.models import JobDevice
from jobs.sql import store
from jobs.states import JobDeviceState, Status
from jobs.task import JobContext, job
from jobs.testing import perform_job, result_of
from locks import service as locks
from tests.fake_jobs import fleets
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = [f"sw{number}" for number in range(20)]


def run(path: Path, *, breaks: bool = False) -> list[list[str]]:
    """The lines that the job noted, in words."""
    job = perform_job(fleets.each_expected, hosts=HOSTS, path=str(path), breaks=breaks)
    assert job.status == Status.FINISHED
    done = JobDevice.objects.filter(job=job, state=JobDeviceState.DONE.value, failed=False)
    assert set(done.values_list("host", flat=True)) == set(HOSTS)
    return [line.split() for line in Path(f"{path}.log").read_text().splitlines()]


def test_each_device_is_expected_once_before_it_begins(tmp_path: Path) -> None:
    expected: set[str] = set()
    for what, *hosts in run(tmp_path / "seen"):
        if what == "expect":
            assert hosts
            assert not expected.intersection(hosts)
            expected.update(hosts)
        else:
            assert hosts[0] in expected
    assert expected == set(HOSTS)


def test_what_it_raises_is_logged_and_fails_no_device(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path / "seen", breaks=True)
    lines = [record for record in caplog.records if getattr(record, "action", "") == "beforehand_failed"]
    assert lines
    assert "not today" in str(lines[0].exc_info)


@job(lock="devices")
def takes_long_to_prepare(ctx: JobContext, *, loses_its_lock: bool) -> None:
    begun: list[str] = []

    def beforehand(devices: Sequence[str]) -> None:
        if loses_its_lock:
            with ctx.database():
                locks.clear("devices", who="operator", origin="test", user=None)

    ctx.keep(lambda _: begun)
    ctx.each(HOSTS, begun.append, at_once=3, beforehand=beforehand)


@pytest.mark.parametrize(
    ("loses_its_lock", "type_", "state"),
    [(True, "LockLost", JobDeviceState.WAITING), (False, None, JobDeviceState.DONE)],
)
def test_none_begins_by_a_safe_point_that_was_long_before(
    monkeypatch: pytest.MonkeyPatch, settings: Any, loses_its_lock: bool, type_: str | None, state: JobDeviceState
) -> None:
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 7200
    monkeypatch.setattr(ahead, "LOOK_SECONDS", 3600.0)
    standing = Mock(wraps=store().fleet_standing)
    monkeypatch.setattr(store(), "fleet_standing", standing)
    perform_job(takes_long_to_prepare, loses_its_lock=False)
    assert standing.call_count == 1  # for those that come soon after it, the answer that gave them is enough
    JobDevice.objects.all().delete()
    monkeypatch.setattr(ahead, "LOOK_SECONDS", 0.0)
    ended = perform_job(takes_long_to_prepare, loses_its_lock=loses_its_lock)
    assert ended.exception_type == type_
    assert set(JobDevice.objects.values_list("state", flat=True)) == {state.value}
    assert not loses_its_lock or result_of(ended) == []


@pytest.mark.parametrize(("devices", "waits"), [(3, False), (12, True)])
def test_notes_of_devices_that_come_in_the_same_moment_are_one_statement(
    monkeypatch: pytest.MonkeyPatch, devices: int, waits: bool
) -> None:
    noted: list[int] = []
    slept: list[float] = []
    note = Membership._note

    def counted(self: Membership, notes: list[object]) -> object:
        noted.append(len(notes))
        return note(self, notes)  # type: ignore[arg-type]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wait_until(
            lambda: (
                (together := members[0]._note_together) is not None
                and (turn := together._next) is not None
                and len(turn.given) == devices
            )
        )

    each = Membership.each

    def seen(self: Membership, *args: object, **more: object) -> object:
        members[:] = [self]
        return each(self, *args, **more)  # type: ignore[arg-type]

    members: list[Membership] = []
    monkeypatch.setattr(Membership, "_note", counted)
    monkeypatch.setattr(Membership, "each", seen)
    monkeypatch.setattr(shared_read, "sleep", sleep)
    job = perform_job(fleets.each_at_the_same_moment, hosts=HOSTS[:devices])
    assert job.status == Status.FINISHED
    assert sum(noted) == devices
    if waits:
        assert (noted, slept) == ([devices], [membership._GATHER_SECONDS])
    else:
        assert slept == []
