"""What a child tells the main process in shared memory."""

import os
import time
from types import SimpleNamespace

import pytest

from jobs.body import slots
from jobs.body.slots import Stage


@pytest.fixture
def request_with_slot() -> SimpleNamespace:
    slots.allocate()
    return SimpleNamespace(slot=slots.take())


def test_every_stage_is_told(request_with_slot: SimpleNamespace) -> None:
    request = request_with_slot
    seen = []
    for tell in (slots.taken, slots.running, slots.storing, slots.done):
        tell(request)
        told = slots.read(request.slot)
        assert told is not None
        assert told.pid == os.getpid()
        seen.append((told.stage, told.began > 0))
    assert seen == [(Stage.CLAIMING, False), (Stage.RUNNING, True), (Stage.STORING, True), (Stage.DONE, True)]


def test_another_process_sees_it(request_with_slot: SimpleNamespace) -> None:
    child = os.fork()
    if child == 0:
        slots.taken(request_with_slot)
        os._exit(0)
    os.waitpid(child, 0)
    told = slots.read(request_with_slot.slot)
    assert told is not None
    assert (told.stage, told.pid) == (Stage.CLAIMING, child)


def test_a_run_that_a_child_had_is_not_taken_by_another(request_with_slot: SimpleNamespace) -> None:
    """Its claim may have been granted; with the same token it would be granted again, and the body run twice."""
    assert slots.taken(request_with_slot)
    assert not slots.taken(request_with_slot)


def test_a_slot_given_back_begins_anew(request_with_slot: SimpleNamespace) -> None:
    number = request_with_slot.slot
    slots.done(request_with_slot)
    slots.give_back(number)
    taken = [slots.take() for _ in range(slots.SLOTS)]
    assert number in taken
    assert slots.read(number) == (Stage.WAITING, False, 0, 0.0)
    for one in taken:
        if one is not None:
            slots.give_back(one)


def test_without_a_worker_nothing_is_told() -> None:
    for tell in (slots.taken, slots.running, slots.storing, slots.done):
        tell(SimpleNamespace())
    assert slots.read(None) is None


def test_limits_of_a_run_that_began_elsewhere_count_from_its_start(request_with_slot: SimpleNamespace) -> None:
    slots.running(request_with_slot, age=100.0)
    told = slots.read(request_with_slot.slot)
    assert told is not None
    assert 100 <= time.monotonic() - told.began < 160


def test_a_run_is_told_to_leave_and_the_next_in_its_slot_is_not(request_with_slot: SimpleNamespace) -> None:
    assert not slots.told_to_leave(request_with_slot)
    slots.tell_to_leave(request_with_slot.slot)
    assert slots.told_to_leave(request_with_slot)
    slots.give_back(request_with_slot.slot)
    taken = [slots.take() for _ in range(slots.SLOTS)]
    assert not slots.told_to_leave(request_with_slot)
    for one in taken:
        if one is not None:
            slots.give_back(one)
