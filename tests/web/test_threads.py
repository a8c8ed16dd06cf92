"""The web server's threads: the one that became idle last takes the next request, and no other wakes for it."""

import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from cnaasjobs.web.threads import LastRestedFirst, Threads
from tests.waiting import wait_until


@pytest.fixture
def pool() -> Iterator[Threads]:
    pool = Threads("requests", 4)
    yield pool
    pool.shutdown()


def _busy(pool: Threads, count: int) -> None:
    """Have this many threads work at a time, and then rest."""
    meeting = threading.Barrier(count)
    for future in [pool.submit(meeting.wait, 10) for _ in range(count)]:
        future.result(timeout=10)
    _rested(pool, count)


def _rested(pool: Threads, count: int) -> None:
    wait_until(lambda: len(pool._work_queue._resting) == count, timeout=10)  # type: ignore[attr-defined]


def _wakes(thread: int) -> int:
    """How often this thread has waited for something."""
    lines = Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_one_after_the_other_is_done_by_one_thread_and_the_others_go_on_resting(pool: Threads) -> None:
    _busy(pool, 4)
    first = pool.submit(threading.get_native_id).result(timeout=10)
    _rested(pool, 4)
    others = {thread.native_id or 0 for thread in pool._threads} - {first}
    before = {thread: _wakes(thread) for thread in others}
    for _ in range(20):
        assert pool.submit(threading.get_native_id).result(timeout=10) == first
        _rested(pool, 4)
    # On a busy machine one that rests may not have lain down by the time of the first count.
    assert all(_wakes(thread) - before[thread] <= 1 for thread in others)
    assert len(others) == 3


def test_many_at_a_time_have_a_thread_each(pool: Threads) -> None:
    for _ in range(20):
        _busy(pool, 4)  # each waits until all four are there


def test_the_first_to_come_is_served_first_when_no_thread_rests(pool: Threads) -> None:
    go, order = threading.Event(), list[int]()
    held: list[Future[Any]] = [pool.submit(go.wait, 10) for _ in range(4)]
    later = [pool.submit(order.append, number) for number in range(20)]
    assert pool.queued == 20
    taken = [pool._work_queue.get_nowait() for _ in range(20)]
    assert [item.future for item in taken] == later
    for item in taken:
        pool._work_queue.put(item)
    go.set()
    wait([*held, *later], timeout=10)
    assert sorted(order) == list(range(20))
    assert pool.queued == 0


def test_it_ends_all_its_threads(pool: Threads) -> None:
    _busy(pool, 4)
    pool.shutdown(wait=False)
    for thread in pool._threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_an_empty_queue_says_so() -> None:
    with pytest.raises(Empty):
        LastRestedFirst().get_nowait()
    assert LastRestedFirst().empty()


def test_an_item_that_comes_just_before_a_thread_rests_is_not_left_there() -> None:
    class PutMeanwhile(list[Any]):
        def append(self, rest: Any) -> None:
            queue.put("meanwhile")
            super().append(rest)

    queue = LastRestedFirst()
    queue._resting = PutMeanwhile()
    assert _taken(queue).result(timeout=10) == "meanwhile"


def test_a_thread_goes_on_resting_when_another_was_quicker_and_gets_the_next_item() -> None:
    class Snatched(deque[Any]):
        def popleft(self) -> Any:
            item = super().popleft()
            if item == "snatched":
                raise IndexError
            return item

    queue = LastRestedFirst()
    queue._items = Snatched()
    taken = _taken(queue)
    wait_until(lambda: len(queue._resting) == 1, timeout=10)
    queue.put("snatched")
    queue.put("next")
    assert taken.result(timeout=10) == "next"


def _taken(queue: LastRestedFirst) -> "Future[Any]":
    """What another thread gets."""
    future: Future[Any] = Future()
    threading.Thread(target=lambda: future.set_result(queue.get()), daemon=True).start()
    return future


def test_each_item_is_handed_out_once_however_the_threads_take_turns() -> None:
    queue, found, each = LastRestedFirst(), Counter[int](), 3000

    def put(first: int) -> None:
        for number in range(first, first + each):
            queue.put(number)

    putting = [threading.Thread(target=put, args=[number * each]) for number in range(3)]

    def take() -> None:
        mine: Counter[int] = Counter()
        while (item := queue.get()) is not None:
            mine[item] += 1
            if item % 50 == 0:
                os.sched_yield()  # so that some rest while others are given something
        found.update(mine)

    taking = [threading.Thread(target=take, daemon=True) for _ in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in [*taking, *putting]:
            thread.start()
        for thread in putting:
            thread.join(timeout=60)
        for _ in taking:
            queue.put(None)
        for thread in taking:
            thread.join(timeout=60)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in taking)
    assert found == Counter(range(3 * each))


def test_where_the_system_allows_no_more_threads_those_that_there_are_do_it_all(
    pool: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, places = threading.Thread.start, [1]

    def start_one(thread: threading.Thread) -> None:
        if not places:
            raise RuntimeError("can't start new thread")
        places.clear()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    done = [pool.submit(threading.get_native_id) for _ in range(8)]
    assert len({one.result(timeout=10) for one in done}) == 1
