"""What the worker's main process keeps of a run until its end is stored."""

import subprocess

import pytest

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.end_reasons import EndReason
from jobs.worker import processes
from jobs.worker.ends import Reporter
from jobs.worker.request import in_progress
from tests.waiting import wait_until
from tests.worker.conftest import request_of


def test_the_first_report_of_an_end_decides() -> None:
    reporter, request = Reporter(), request_of(1)
    first = reporter.report(request, type=EndReason.TIME_LIMIT_EXCEEDED, message="too long", pid=None)
    later = reporter.report(request, type=EndReason.WORKER_LOST, message="its process is gone", pid=None)
    assert (first, later) == (True, False)
    assert not reporter.is_idle


def test_a_run_is_in_progress_until_its_end_is_stored() -> None:
    """Its process was cut off just as it was done: without a heartbeat that names it, it would be taken for lost."""
    reporter, request = Reporter(), request_of(1)
    request.hand_over()
    reporter.report(request, type=EndReason.TIME_LIMIT_EXCEEDED, message="too long", pid=None)
    request.over()
    assert request.run_token in in_progress.run_tokens()
    request.end_stored()
    assert request.run_token not in in_progress.run_tokens()


def test_an_end_that_can_never_be_stored_holds_up_no_other(heard: list[Event]) -> None:
    """Upkeep ends that job later; a worker that is told to stop must not wait for it."""
    reporter, request = Reporter(), request_of(1)
    request.run_token = "none"
    request.hand_over()
    reporter.report(request, type=EndReason.WORKER_LOST, message="its process is gone", pid=None)
    reporter.start()
    wait_until(lambda: reporter.is_idle)
    assert [event.action for event in heard] == [JobAction.END_FAILED]
    assert in_progress.run_tokens() == []


def test_a_run_does_not_end_while_its_process_lives(monkeypatch: pytest.MonkeyPatch, heard: list[Event]) -> None:
    """It was killed, and hangs in the kernel until a disk answers: then it may still change a device."""
    reporter, request = Reporter(), request_of(1)
    request.run_token = "none"  # its end can't be stored, and says when that is tried
    kills: list[int] = []
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        monkeypatch.setattr(processes, "_kill", kills.append)
        reporter.report(request, type=EndReason.TIME_LIMIT_EXCEEDED, message="too long", pid=child.pid)
        reporter.start()
        wait_until(lambda: len(kills) > 4 or heard)
        assert heard == []
        child.kill()
    wait_until(lambda: reporter.is_idle)
    assert [event.action for event in heard] == [JobAction.END_FAILED]
