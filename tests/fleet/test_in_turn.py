"""Which devices begin first: those that took long the last time."""

from datetime import timedelta
from typing import Final

import pytest

from jobs.models import Job, JobDevice
from jobs.sql import store
from jobs.states import JobDeviceState
from jobs.testing import perform_job, result_of
from tests.factory.rows import NOON, device_row, job_row
from tests.fake_jobs import fleets
from tests.fleet.parts import begun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

HOSTS: Final = ["a", "b", "c", "d", "e"]


def took(seconds: float, host: str, *, job: Job | None = None) -> None:
    """``host`` was in an earlier job, the newest so far, for so long."""
    times = {"start_time": NOON, "finish_time": NOON + timedelta(seconds=seconds)}
    device_row(job or job_row(), host, state="DONE", **times)


def test_the_slow_ones_are_taken_first() -> None:
    for host, seconds in zip(HOSTS, (1.9, 9.9, 59.0, 599.0, 601.0), strict=True):
        took(seconds, host)
    _, taken = begun(HOSTS, take=4)
    assert [device.host for device in taken] == ["e", "d", "c", "b"]


def test_those_that_wait_are_taken_in_turn_too() -> None:
    took(3, "e")
    took(9, "d")
    took(10, "b")
    run, taken = begun(HOSTS, take=1)
    _, more = store().take_devices(run, 3)
    assert [device.host for device in (*taken, *more)] == ["b", "d", "e", "a"]


def test_the_last_job_that_finished_a_device_counts() -> None:
    took(100, "b")
    took(1, "b")
    took(1, "c")
    took(100, "c")
    device_row(job_row(), "c", state="WAITING")
    _, taken = begun(HOSTS, take=1)
    assert [device.host for device in taken] == ["c"]


def test_where_all_begin_at_once_nobody_looks_it_up() -> None:
    took(100, "e")
    _, taken = begun(HOSTS, take=5)
    assert [device.host for device in taken] == HOSTS


def test_the_result_keeps_the_order_of_the_selection() -> None:
    took(100, "c")
    done = perform_job(fleets.each, hosts=HOSTS, at_once=1)
    assert [*result_of(done)["devices"]] == HOSTS
    rows = JobDevice.objects.filter(job=done, state=JobDeviceState.DONE)
    assert [*rows.order_by("id").values_list("host", flat=True)] == ["c", "a", "b", "d", "e"]
    assert rows.earliest("finish_time", "id").host == "c"
