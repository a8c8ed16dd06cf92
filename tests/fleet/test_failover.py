"""A failover to a standby that was behind: the database forgets the last that it was told, and the participants go on.

No device is begun by one that is past the first of all devices' steps, none is said to be done whose step was left out,
and those that nobody has a record of any more failed.
"""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from jobs.device_models import LOST
from jobs.dispatch import scheduling
from jobs.models import Fleet, JobDevice
from jobs.sql import store
from jobs.sql.device_signature import Batch, Stepped
from jobs.states import JobDeviceState, Status
from jobs.task import JobContext, job
from jobs.testing import perform, result_of
from tests.fake_jobs import fleets
from tests.fleet.parts import DONE, TAKEN, WAITING, begun, joined, leave, states
from tests.waiting import wait_until

HOSTS = ["a", "b", "c"]  # one at once: the others wait at first
UNKNOWN = "the database lost the record of what was done to it: its state is not known"

did: list[str] = []
remembered: dict[str, Any] = {}
fails_over: dict[str, Callable[[JobContext], None]] = {}  # by what a thread is about to do


@pytest.fixture(autouse=True)
def _anew() -> None:
    for each in (did, remembered, fails_over):
        each.clear()


def _rows() -> dict[str, Any]:
    devices = {device["host"]: device for device in JobDevice.objects.values()}
    return {"fleet": Fleet.objects.values("allowed", "allowed_at", "refused").get(), "devices": devices}


def _remember(ctx: JobContext) -> None:
    with ctx.database():
        remembered.update(_rows())


def _fail_over(ctx: JobContext) -> None:
    with ctx.database():
        Fleet.objects.update(**remembered["fleet"])
        for host, values in remembered["devices"].items():
            JobDevice.objects.filter(host=host).update(**values)


def _does(ctx: JobContext, step: str, device: str) -> None:
    what = f"{step} {device}"
    if (happens := fails_over.pop(what, None)) is not None:
        happens(ctx)
    with lock:
        did.append(what)


lock = threading.Lock()


@job
def in_three_steps(ctx: JobContext) -> None:
    def prepare(device: str) -> None:
        _does(ctx, "prepare", device)

    def commit(device: str) -> None:
        _does(ctx, "commit", device)

    def confirm(device: str) -> str:
        _does(ctx, "confirm", device)
        return "done"

    def back(device: str, why: str) -> str:
        _does(ctx, "back", device)
        return why

    def lost(device: str, why: str) -> str:
        return why

    ctx.each(HOSTS, prepare, commit, confirm, back=back, lost=lost, at_once=1, all_or_none=True)


@job
def in_one_step(ctx: JobContext) -> None:
    def sync(device: str) -> str:
        _does(ctx, "sync", device)
        return "done"

    ctx.each(HOSTS, sync, lost=lambda device, why: why, at_once=1)


def _ends(task: Any) -> dict[str, str | None]:
    """Why each device failed, by its host."""
    ended = perform(scheduling.schedule(task, {}))
    assert ended.status == Status.FINISHED
    rows = JobDevice.objects.filter(job=ended)
    assert {row.state for row in rows} == {DONE}
    assert result_of(ended)["devices"] == {
        row.host: "done" if row.reason is None else row.reason.removeprefix("not done: ") for row in rows
    }
    return {row.host: row.reason for row in rows.order_by("place")}


@pytest.mark.django_db(transaction=True)
def test_what_the_database_forgets_before_the_decision_is_told_again() -> None:
    fails_over["prepare a"], fails_over["prepare c"] = _remember, _fail_over
    assert _ends(in_three_steps) == dict.fromkeys(HOSTS)
    assert sorted(did) == sorted(f"{step} {device}" for step in ("prepare", "commit", "confirm") for device in HOSTS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("during", ["commit a", "commit c"])
def test_after_the_decision_all_are_taken_back_and_those_without_a_record_failed(during: str) -> None:
    fails_over["prepare a"], fails_over[during] = _remember, _fail_over
    reasons = _ends(in_three_steps)
    assert reasons == {"a": f"not done: {LOST}", "b": UNKNOWN, "c": UNKNOWN}
    committed = HOSTS[: 1 + HOSTS.index(during[-1])]
    assert sorted(did) == sorted(
        [f"{step} {device}" for step in ("prepare", "back") for device in HOSTS]
        + [f"commit {host}" for host in committed]
    )


@pytest.mark.django_db(transaction=True)
def test_a_device_that_another_begins_anew_after_the_decision_makes_the_next_one_a_no() -> None:
    """Nobody would notice what this process left out for the sake of that device."""

    def taken_by_another(ctx: JobContext) -> None:
        with ctx.database():
            JobDevice.objects.filter(host="b").update(participant=uuid4())

    fails_over["commit a"] = taken_by_another
    assert _ends(in_three_steps) == {"a": f"not done: {LOST}", "b": UNKNOWN, "c": f"not done: {LOST}"}
    assert [each for each in did if each.endswith("b")] == ["prepare b", "back b"]
    assert not any(each.startswith("confirm") for each in did)


@pytest.mark.django_db(transaction=True)
def test_in_the_last_step_all_are_done_and_those_without_a_record_are_said_to_have_failed() -> None:
    fails_over["prepare a"], fails_over["confirm c"] = _remember, _fail_over
    reasons = _ends(in_three_steps)
    assert (reasons["b"], reasons["c"]) == (UNKNOWN, UNKNOWN)
    assert [each for each in did if each.startswith(("confirm", "back"))] == [f"confirm {device}" for device in HOSTS]


@pytest.mark.django_db(transaction=True)
def test_a_device_whose_end_the_database_forgets_failed() -> None:
    def once_over(device: str, then: Callable[[JobContext], None]) -> Callable[[JobContext], None]:
        def is_over(ctx: JobContext) -> bool:
            with ctx.database():
                return JobDevice.objects.filter(host=device, state=DONE).exists()

        def happens(ctx: JobContext) -> None:
            wait_until(lambda: is_over(ctx))
            then(ctx)

        return happens

    fails_over["sync b"], fails_over["sync c"] = once_over("a", _remember), once_over("b", _fail_over)
    assert _ends(in_one_step) == {"a": None, "b": UNKNOWN, "c": None}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_a_step_is_refused_if_the_one_before_is_not_known_to_be_allowed_or_a_device_was_lost() -> None:
    for lost in (False, True):
        run, taken = begun(["a"], take=1, all_or_none=True, task=fleets.each_with_result)
        store().write_devices(run, Batch(stepped=[Stepped(taken[0].id, 2)]))
        assert not lost or store().decide(run, 1, within=None).allowed
        decision = store().decide(run, 2, within=None, lost=lost)
        assert (decision.allowed, decision.reason) == (False, LOST)
        assert store().decide(run, 2, within=None) == decision


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_only_a_process_that_takes_part_or_ends_the_run_says_that_a_device_was_lost() -> None:
    beside, _ = begun(["x", "y"], take=1, task=fleets.each_with_result)
    run, _ = begun(["a", "b"], take=1)
    helper = joined(run)
    assert store().lose_unrecorded(helper, JobDeviceState.WAITING) == 1
    assert store().take_devices(helper, 2)[1] == []
    assert not store().write_devices(helper, Batch()).waiting
    assert leave(helper).gone
    assert store().lose_unrecorded(helper, JobDeviceState.TAKEN) == 0
    assert store().lose_unrecorded(run, JobDeviceState.TAKEN) == 1
    devices = JobDevice.objects.filter(job_id=run.job_id)
    assert list(devices.values_list("state", "failed", "reason")) == [(DONE, True, UNKNOWN)] * 2
    assert states(beside.job_id) == [TAKEN, WAITING]
