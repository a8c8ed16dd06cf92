"""Whatever a run has to write is written when it is due, even if what is written before it has to wait."""

import math
import threading
import time
from typing import Any

import pytest

from jobs.body import written_later
from jobs.body.written_later import _Writer
from tests.waiting import wait_until


class Gathers:
    def __init__(self) -> None:
        self.is_written = threading.Event()

    def flush(self) -> None:
        self.is_written.set()


def test_a_shorter_wait_is_not_held_up_by_a_longer_one(settings: Any) -> None:
    writer = _Writer()
    writer.start()
    settings.CNAASJOBS_PROGRESS_SECONDS = 3600
    writer.add(Gathers())
    wait_until(lambda: math.inf > writer._looks_at > time.monotonic())
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.05
    soon = Gathers()
    writer.add(soon)
    assert soon.is_written.wait(20)


def test_what_is_removed_is_not_written(settings: Any) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.05
    writer = _Writer()
    removed, kept = Gathers(), Gathers()
    writer.add(removed)
    writer.add(kept)
    writer.remove(removed)
    writer.remove(removed)  # the thread may have taken it out just before
    writer.start()
    assert kept.is_written.wait(20)
    assert not removed.is_written.is_set()


def test_without_a_thread_nothing_is_written_now_and_once_there_is_one_it_is(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.05
    monkeypatch.setattr(written_later, "_writer", None)
    early, late = Gathers(), Gathers()

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        written_later.add(early)
        written_later.remove(early)
    written_later.add(late)
    assert late.is_written.wait(20)
    assert not early.is_written.is_set()
