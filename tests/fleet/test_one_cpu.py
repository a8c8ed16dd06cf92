"""Device threads, which share Python's lock, run on one processor; which one, and which threads are exempt."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.fleet import one_cpu
from jobs.fleet.hands import Hands, Piece
from jobs.fleet.one_cpu import OneCpu
from tests.waiting import wait_until

needs_linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux says where a thread runs")
pytestmark = needs_linux


@pytest.fixture
def allowed() -> Iterator[set[int]]:
    """The processors of this process; afterwards they are the calling thread's again."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one processor")
    yield before
    os.sched_setaffinity(0, before)


@pytest.fixture
def waiting() -> Iterator[threading.Thread]:
    ends = threading.Event()
    thread = threading.Thread(target=ends.wait)
    thread.start()
    yield thread
    ends.set()
    thread.join()


def processors_of(thread: threading.Thread) -> set[int]:
    return os.sched_getaffinity(thread.native_id or 0)


def test_each_device_is_worked_on_where_the_main_thread_was_and_that_stays_free(allowed: set[int]) -> None:
    places: list[set[int]] = []
    together = threading.Barrier(4)

    def work(piece: Piece) -> None:
        places.append(os.sched_getaffinity(0))
        together.wait(30)

    hands = Hands(4)
    hands.give([Piece(work, number, f"sw{number}", None) for number in range(4)])
    wait_until(lambda: hands.in_hand == 0)
    hands.close()
    assert len(places) == 4
    assert {len(place) for place in places} == {1}
    assert set.union(*places) <= allowed
    assert len(set.union(*places)) == 1
    assert os.sched_getaffinity(0) == allowed


def test_a_thread_that_works_follows_the_main_thread_and_so_does_one_that_rested(
    allowed: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_cpu, "_FOLLOW_SECONDS", 0.0)
    first, second = sorted(allowed)[:2]
    begun, go_on = threading.Semaphore(0), threading.Event()
    places: dict[int, set[int]] = {}

    def work(piece: Piece) -> None:
        begun.release()
        if piece.id == 0:
            go_on.wait(30)
        places[piece.id] = os.sched_getaffinity(0)

    hands = Hands(2)
    os.sched_setaffinity(0, {first})
    hands.give([Piece(work, number, f"sw{number}", None) for number in range(2)])
    assert begun.acquire(timeout=30)
    assert begun.acquire(timeout=30)
    wait_until(lambda: 1 in places)  # it rests from here on, the other one works
    os.sched_setaffinity(0, {second})
    hands.wait(0, until=0)
    go_on.set()
    hands.give([Piece(work, 2, "sw2", None)])
    wait_until(lambda: hands.in_hand == 0)
    hands.close()
    assert places == {0: {second}, 1: {first}, 2: {second}}


def test_they_do_not_follow_each_time(
    allowed: set[int], waiting: threading.Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_cpu, "_FOLLOW_SECONDS", 60.0)
    first, second = sorted(allowed)[:2]
    cpu = OneCpu()
    os.sched_setaffinity(0, {first})
    cpu.follow([waiting])
    os.sched_setaffinity(0, {second})
    cpu.follow([waiting])
    assert processors_of(waiting) == {first}


def test_a_thread_that_has_ended_harms_nobody(allowed: set[int], waiting: threading.Thread) -> None:
    over = threading.Thread(target=lambda: None)
    over.start()
    over.join()
    wait_until(lambda: not Path(f"/proc/self/task/{over.native_id}").exists())
    OneCpu().follow([over, waiting])
    assert len(processors_of(waiting)) == 1


def test_where_nothing_is_known_threads_run_as_they_like(
    allowed: set[int], waiting: threading.Thread, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(one_cpu, "_STAT", tmp_path / "stat")
        elsewhere.delattr(os, "sched_setaffinity")
        cpu = OneCpu()
        cpu.follow([waiting])
        cpu.bind()
    assert processors_of(waiting) == allowed
