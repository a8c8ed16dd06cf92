"""The steps of one device, one after the other: a safe point before each, and what ends them early."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.errors import LockLost
from jobs.lifecycle import transitions
from jobs.models import JobDevice
from jobs.states import Status
from jobs.task import DeviceFailed, JobContext, job
from jobs.testing import perform_job, result_of
from locks import service as locks
from locks.models import Lock

pytestmark = pytest.mark.django_db(transaction=True)

committed: list[str] = []
begun: list[str] = []
told: list[tuple[str, str]] = []  # what ``back`` was called with


@pytest.fixture(autouse=True)
def _anew() -> None:
    for each in (committed, begun, told):
        each.clear()


def back(device: str, why: str) -> None:
    told.append((device, why))


def is_aborted(ctx: JobContext) -> None:
    with ctx.database():
        transitions.abort(ctx.job_id, reason="enough", by="operator")


def loses_its_lock(ctx: JobContext) -> None:
    with ctx.database():
        locks.clear("devices", who="operator", origin="test", user=None)


@job
def in_two_steps(ctx: JobContext, *, hosts: list[str]) -> None:
    def prepare(device: str) -> str | None:
        if device == "stops":
            is_aborted(ctx)
        if device == "fails":
            raise DeviceFailed("it said no")
        return "nothing to do" if device == "same" else None

    def commit(device: str) -> str | None:
        committed.append(device)
        return None if device == "silent" else "committed"

    ctx.each(hosts, prepare, commit, at_once=1, back=back)


def test_a_step_that_returns_a_report_is_the_last_of_its_device() -> None:
    ended = perform_job(in_two_steps, hosts=["same", "differs"])
    assert result_of(ended) == {"devices": {"same": "nothing to do", "differs": "committed"}}
    assert committed == ["differs"]
    assert JobDevice.objects.get(host="differs").step == "commit"


def test_one_that_fails_keeps_no_other_from_its_steps_and_the_last_step_may_say_nothing() -> None:
    found = result_of(perform_job(in_two_steps, hosts=["fails", "differs", "silent"]))["devices"]
    assert (found.pop("fails")["reason"], found) == ("it said no", {"differs": "committed", "silent": None})
    assert committed == ["differs", "silent"]


def test_no_step_begins_when_the_job_was_told_to_stop_in_the_one_before() -> None:
    ended = perform_job(in_two_steps, hosts=["stops"])
    assert (ended.exception_type, committed) == ("JobAborted", [])
    assert result_of(ended)["devices"]["stops"]["reason"].startswith("not done: enough")
    assert told == [("stops", "enough (aborted by operator)")]


def loses_its_lock_after_its_time_is_over(ctx: JobContext) -> None:
    ctx.soft_limit_reached()
    loses_its_lock(ctx)


def seems_to_hold_its_lock_again(ctx: JobContext) -> None:
    """A standby that has not heard of the clearing is the database now."""
    loses_its_lock(ctx)
    with pytest.raises(LockLost):
        ctx.checkpoint()
    with ctx.database():
        Lock.objects.update(holder_id=ctx.job_id, start_time=database_now())
    assert ctx.holds_lock()


happens: dict[str, Callable[[JobContext], None]] = {
    "aborted": is_aborted,
    "cleared": loses_its_lock,
    "late and cleared": loses_its_lock_after_its_time_is_over,
    "cleared in vain": seems_to_hold_its_lock_again,
}
GONE = "lock devices was cleared or taken over"
LATE = "the job ran longer than its soft time limit of None seconds"


@job(lock="devices")
def all_together(ctx: JobContext, *, stops_in: str, how: str) -> None:
    def step(name: str) -> Any:
        def work(device: str) -> str | None:
            begun.append(name)
            if name == stops_in and begun.count(name) == 1:
                happens[how](ctx)
            return "done" if name == "confirm" else None

        work.__name__ = name
        return work

    steps = map(step, ("prepare", "commit", "confirm"))
    ctx.each(["a", "b"], *steps, at_once=1, all_or_none=True, back=back)


@pytest.mark.parametrize(
    ("stops_in", "how", "ends", "times", "not_done"),
    [
        ("commit", "aborted", "JobAborted", [2, 1, 0], dict.fromkeys("ab", "enough (aborted by operator)")),
        ("confirm", "aborted", "JobAborted", [2, 2, 2], {}),
        ("confirm", "cleared", "LockLost", [2, 2, 1], {"b": GONE}),
        ("confirm", "late and cleared", "TimeLimitExceeded", [2, 2, 1], {"b": LATE}),
        ("confirm", "cleared in vain", "LockLost", [2, 2, 1], {"b": GONE}),
    ],
)
def test_of_joint_steps_only_the_last_goes_on_in_a_job_that_stops_and_only_while_it_has_its_lock(
    stops_in: str, how: str, ends: str, times: list[int], not_done: dict[str, str]
) -> None:
    ended = perform_job(all_together, stops_in=stops_in, how=how)
    assert ended.exception_type == ends
    assert [begun.count(name) for name in ("prepare", "commit", "confirm")] == times
    assert sorted(told) == sorted(not_done.items())
    reasons = dict(JobDevice.objects.filter(job=ended, failed=True).values_list("host", "reason"))
    assert reasons == {host: f"not done: {why}" for host, why in not_done.items()}
    assert JobDevice.objects.get(host="a").step == stops_in


@job
def hangs(ctx: JobContext, *, where: str) -> None:
    def act(device: str) -> None:
        if where != "back":
            never.wait(20)
            return
        with ctx.patience(60, "act"):
            is_aborted(ctx)
            ctx.checkpoint()

    def back(device: str, why: str) -> Any:
        never.wait(20)

    nothing_to_say: Any = (lambda device, at: None) if where == "unsaid" else None
    ctx.each(["sw1"], act, seconds=0.2, back=back, hung=nothing_to_say)


never = threading.Event()


@pytest.mark.parametrize(
    ("where", "status", "reason"),
    [
        ("act", Status.FINISHED, "act: no answer within 0.2 seconds"),
        ("back", Status.EXCEPTION, "back: no answer within 0.2 seconds"),
        ("unsaid", Status.FINISHED, None),
    ],
)
def test_one_that_hangs_fails_with_the_step_that_it_hangs_in_unless_the_job_says_something_else(
    where: str, status: Status, reason: str | None
) -> None:
    ended = perform_job(hangs, where=where)
    assert ended.status == status
    assert JobDevice.objects.get(job=ended).reason == reason
