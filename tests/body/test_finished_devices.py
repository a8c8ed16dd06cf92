"""Finished devices are written at most once in a while, by one thread for all runs of a process."""

import json
import multiprocessing
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from django.db import InterfaceError

from jobs.body import written_later
from jobs.body.finished_devices import FinishedDevices
from tests.waiting import stays, wait_until

SECONDS = 0.2


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = SECONDS


class Store:
    """What was written, and when."""

    def __init__(self) -> None:
        self.writes: list[tuple[float, list[str]]] = []
        self.fails = False
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self, devices: str) -> None:
        if self.fails:
            raise InterfaceError("connection already closed")
        self.writes.append((time.monotonic(), json.loads(devices)))
        assert self.may_end.wait(10)


def test_many_devices_are_few_writes_and_none_is_missing() -> None:
    store = Store()
    finished = FinishedDevices(store)
    names: list[str] = []

    def one_more_until_three_writes() -> bool:
        names.append(f"sw{len(names)}")
        finished.device_finished(names[-1])
        return len(store.writes) == 3

    wait_until(one_more_until_three_writes, interval=0.005)
    wait_until(lambda: store.writes[-1][1] == names)
    times = [when for when, _ in store.writes]
    # A device that finishes just as a write begins is due after the same while as one that finishes just after it.
    assert min(later - earlier for earlier, later in pairwise(times)) > SECONDS / 2
    finished.device_finished("sw0")  # again: still in its place
    assert json.loads(finished.as_json()) == names
    finished.close()


def _writers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "jobs-progress"}


def test_runs_share_one_thread() -> None:
    before = _writers()  # the one of this process, and those that other tests made
    stores = [Store() for _ in range(20)]
    runs = [FinishedDevices(store) for store in stores]
    for run in runs:
        run.device_finished("a")
    assert len(_writers() - before) <= 1
    wait_until(lambda: all(store.writes for store in stores))
    for run in runs:
        run.close()


def test_nothing_is_written_after_the_end() -> None:
    store = Store()
    finished = FinishedDevices(store)
    finished.device_finished("a")
    finished.close()
    assert written_later._writer is not None
    assert finished not in written_later._writer._due  # it is not woken for it
    finished.device_finished("b")
    finished.flush()  # the thread was writing it just before
    later = Store()
    following = FinishedDevices(later)
    following.device_finished("c")
    wait_until(lambda: later.writes)  # the thread writes in the order of time
    assert store.writes == []
    following.close()


def test_the_end_waits_for_a_write_under_way() -> None:
    store = Store()
    finished = FinishedDevices(store)
    store.may_end.clear()
    finished.device_finished("a")
    wait_until(lambda: store.writes)
    closing = threading.Thread(target=finished.close)
    closing.start()
    stays(closing.is_alive, seconds=0.2)
    store.may_end.set()
    closing.join(5)
    assert not closing.is_alive()


def test_a_write_that_fails_stops_no_later_one() -> None:
    broken, store = Store(), Store()
    broken.fails = True
    first, second = FinishedDevices(broken), FinishedDevices(store)
    first.device_finished("a")
    second.device_finished("b")
    wait_until(lambda: store.writes)
    broken.fails = False
    first.device_finished("c")
    wait_until(lambda: broken.writes)
    assert broken.writes[0][1] == ["a", "c"]
    first.close()
    second.close()


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    warm = FinishedDevices(Store())
    warm.device_finished("a")
    warm.close()

    def in_child() -> None:
        store = Store()
        FinishedDevices(store).device_finished("b")
        wait_until(lambda: store.writes)

    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join(20)
    assert child.exitcode == 0
