"""A crash of the database undid that a device was taken: nothing is changed on it until it is taken again."""

import threading
from typing import Any
from uuid import uuid4

import pytest

from jobs.dispatch import scheduling
from jobs.fleet.ahead import Ahead
from jobs.fleet.kept import Kept
from jobs.models import JobDevice
from jobs.sql import store
from jobs.sql.device_signature import Note
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform, result_of
from tests.fleet.parts import TAKEN, WAITING, begun
from tests.services import PostgreSQL
from tests.waiting import wait_until

began: list[str] = []
changed: list[str] = []
happens: dict[str, Any] = {}  # what happens to a device when it is begun first


@pytest.fixture(autouse=True)
def _anew() -> None:
    for each in (began, changed, happens):
        each.clear()


@job
def goes_through(ctx: JobContext, *, hosts: list[str], at_once: int, reads_first: bool) -> None:
    def one(device: str) -> str:
        began.append(device)
        if began.count(device) == 1 and device in happens:
            happens[device](ctx, device)
        if reads_first:
            ctx.about_to("commit")
        changed.append(device)
        return device

    ctx.each(hosts, one, at_once=at_once, reads_first=reads_first)


def _perform(hosts: list[str], *, at_once: int = 1, reads_first: bool = True) -> None:
    arguments = {"hosts": hosts, "at_once": at_once, "reads_first": reads_first}
    ended = perform(scheduling.schedule(goes_through, arguments))
    assert ended.status == Status.FINISHED
    assert list(result_of(ended)["devices"]) == hosts
    assert sorted(changed) == hosts


def _as_a_crash_would(ctx: JobContext, device: str) -> None:
    with ctx.database():
        waiting = {"state": WAITING, "participant": None, "worker": None, "start_time": None}
        assert JobDevice.objects.filter(host=device, state=TAKEN).update(**waiting) == 1


@pytest.mark.django_db(transaction=True)
def test_a_device_that_was_taken_back_is_begun_anew_and_changed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ahead, "most", 0)  # a device that is taken ahead has waited for the disk
    happens["a"] = happens["c"] = _as_a_crash_would
    _perform(["a", "b", "c"])
    assert sorted(began) == ["a", "a", "b", "c", "c"]


@pytest.mark.django_db(transaction=True)
def test_a_device_that_is_in_hand_is_taken_again_and_not_begun_twice() -> None:
    def then_taken(ctx: JobContext, device: str) -> None:
        def is_taken() -> bool:
            with ctx.database():
                return JobDevice.objects.filter(host=device, state=TAKEN).exists()

        _as_a_crash_would(ctx, device)
        given_back.set()
        wait_until(is_taken)

    given_back = threading.Event()
    happens["a"] = then_taken
    happens["b"] = lambda *_: given_back.wait(10)  # when nothing else is left to do, nobody asks what waits
    _perform(["a", "b", "c"], at_once=2)
    assert sorted(began) == ["a", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_no_step_is_noted_on_a_device_that_another_has() -> None:
    run, taken = begun(take=2)
    JobDevice.objects.filter(pk=taken[0].id).update(participant=uuid4())
    notes = [Note(one.id, "commit", None) for one in taken]
    assert store().note_steps(run, notes).noted == {taken[1].id}
    assert JobDevice.objects.get(step="commit").pk == taken[1].id


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("reads_first", [True, False])
def test_the_server_crashes_while_devices_are_in_hand(postgresql: PostgreSQL, reads_first: bool) -> None:
    def crash(*_: object) -> None:
        postgresql.kill()
        postgresql.start()

    happens["a"] = happens["c"] = crash
    _perform(["a", "b", "c"], reads_first=reads_first)
    assert reads_first or sorted(began) == ["a", "b", "c"]


def test_a_taking_lasts_when_a_commit_waited_that_was_begun_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1.0]
    monkeypatch.setattr("jobs.fleet.kept.time.monotonic", lambda: now[0])
    kept = Kept(always=False)
    kept.took([1])
    kept.lasted(1.0)
    assert not kept.has(1)
    kept.lasted(2.0)
    now[0] = 3.0
    kept.took([2])
    kept.lasted(0.5)  # its answer came late
    assert (kept.has(1), kept.has(2), kept.has(3)) == (True, False, False)
    assert Kept(always=True).has(3)
