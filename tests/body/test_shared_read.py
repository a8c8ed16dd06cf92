"""Threads that ask at the same time share one read, and none gets an answer older than its question."""

import contextlib
import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.body import shared_read
from jobs.body.shared_read import SharedCall, SharedRead, _Turn
from tests.body.readings import HeldUp, waiting
from tests.waiting import wait_until


def test_a_thread_that_asks_alone_reads_each_time() -> None:
    numbers = itertools.count(1)
    read = SharedRead(lambda: next(numbers))
    assert [read(), read(), read()] == [1, 2, 3]


def test_an_answer_is_never_older_than_the_question() -> None:
    ticks = itertools.count()  # next() is atomic

    def slow() -> int:
        began = next(ticks)
        time.sleep(0.0005)  # noqa: TID251  what a database takes
        return began

    read = SharedRead(slow)

    def ask(_: int) -> None:
        for _ in range(50):
            asked = next(ticks)
            assert read() > asked

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, range(20)))
    assert next(ticks) < 2 * 20 * 50  # questions take a tick each, and the readings were shared


def test_a_thread_that_comes_just_before_a_reading_begins_leaves_no_old_answer_behind() -> None:
    """It has found that reading, and the reading ends before it goes on."""
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)
    readings = itertools.count(1)

    def read_when_told() -> int:
        number = next(readings)
        began.release()
        assert go_on.acquire(timeout=10)
        return number

    read = HeldUp(read_when_told)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(read)
        assert began.acquire(timeout=10)
        second = pool.submit(read)
        wait_until(lambda: waiting(read) == 1)
        late = threading.Thread(target=read, name="late")
        late.start()
        assert read.comes.wait(10)
        go_on.release(10)
        first.result(10)
        with contextlib.suppress(TimeoutError):  # as it must be: it does not begin before the other goes on
            second.result(0.1)
        read.goes_on.set()
        late.join(10)
        number = second.result(10)
    assert read() == number + 1


def test_those_who_wait_share_the_next_reading() -> None:
    go_on, readings = threading.Semaphore(0), itertools.count(1)
    began = threading.Semaphore(0)

    def read_when_told() -> int:
        number = next(readings)
        began.release()
        assert go_on.acquire(timeout=10)
        return number

    read = SharedRead(read_when_told)
    with ThreadPoolExecutor(11) as pool:
        first = pool.submit(read)
        assert began.acquire(timeout=10)
        others = [pool.submit(read) for _ in range(10)]
        wait_until(lambda: waiting(read) == 10)
        go_on.release(2)
        assert first.result(10) == 1
        assert {other.result(10) for other in others} == {2}


def test_a_call_waits_for_those_who_come_in_the_next_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[list[str]] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        wait_until(lambda: write_together._next is not None and len(write_together._next.given) == 3)

    monkeypatch.setattr(shared_read, "sleep", sleep)
    write_together: SharedCall[str, None] = SharedCall(lambda given: done.append([*given]), gather=lambda: 0.25)
    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(write_together, name) for name in "abc"]:
            each.result(10)
    assert (sorted(done[0]), done[1:], slept) == (["a", "b", "c"], [], [0.25])


def test_what_was_given_to_a_call_that_failed_is_given_again() -> None:
    began, go_on, fails = threading.Event(), threading.Event(), iter([False, True])
    done: list[str] = []

    def write(given: Sequence[str]) -> None:
        began.set()
        assert go_on.wait(10)
        if next(fails, False):
            raise RuntimeError("away")
        done.extend(given)

    write_together = SharedCall(write)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(write_together, "a")
        assert began.wait(10)
        others = {name: pool.submit(write_together, name) for name in "bcd"}
        wait_until(lambda: write_together._next is not None and len(write_together._next.given) == 3)
        go_on.set()
        first.result(10)
        failed = [name for name, each in others.items() if each.exception(10) is not None]
    assert len(failed) == 1  # the caller in whose thread it ran hears of it
    assert sorted([*done, *failed]) == ["a", "b", "c", "d"]


def test_what_a_reading_raises_reaches_one_and_the_others_read_anew() -> None:
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)
    errors = iter([RuntimeError("away"), RuntimeError("away")])

    def fail_twice() -> str:
        began.release()
        assert go_on.acquire(timeout=10)
        for error in errors:
            raise error
        return "back"

    read = SharedRead(fail_twice)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(read)
        assert began.acquire(timeout=10)
        others = [pool.submit(read) for _ in range(4)]
        wait_until(lambda: waiting(read) == 4)
        go_on.release(5)
        with pytest.raises(RuntimeError):
            first.result(10)
        failed = [other for other in others if other.exception(10)]
        assert len(failed) == 1
        assert {other.result(10) for other in others if other not in failed} == {"back"}


def test_nobody_waits_for_a_call_that_is_over() -> None:
    turn: _Turn[None, str] = _Turn()
    turn.end()
    waits = threading.Thread(target=turn.wait, daemon=True)
    waits.start()
    waits.join(10)
    assert not waits.is_alive()
