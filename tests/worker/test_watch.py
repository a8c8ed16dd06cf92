"""Which runs get a signal from the worker's watch, and that it forgets those that are over."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from billiard.pool import ApplyResult

from jobs.body import cells
from jobs.worker import watch as module
from jobs.worker.ends import Reporter
from jobs.worker.request import in_progress
from jobs.worker.watch import Watch
from tests.fake_jobs.lasting import told_to_stop
from tests.worker.conftest import request_of

AGE = 10.0  # seconds, of a body whose soft limit is half a second


class Body:
    """The process of a run that does nothing, and takes note of the soft limit's signal."""

    def __init__(self) -> None:
        cells.allocate()
        self.request = request_of(1, told_to_stop)
        self.request.hand_over()
        ready, told = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
            cells.taken(self.request)
            cells.running(self.request, age=AGE)
            os.write(told, b".")
            signal.sigwait([signal.SIGTERM])
            os._exit(signal.SIGUSR1 in signal.sigpending())
        os.read(ready, 1)
        os.close(ready)
        os.close(told)
        self._code: int | None = None

    def end(self) -> bool:
        """Whether the signal had been sent to it."""
        if self._code is None:
            os.kill(self.pid, signal.SIGTERM)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code == 1


@pytest.fixture
def body() -> Iterator[Body]:
    body = Body()
    yield body
    body.end()
    body.request.end_stored()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Of a worker whose pool has no processes. What it reports is stored by nobody."""
    monkeypatch.setattr(module, "reporter", Reporter())
    return Watch(SimpleNamespace(pool=None, hub=None))


def test_a_body_past_its_soft_limit_is_struck(watch: Watch, body: Body) -> None:
    watch._look()
    assert body.end()


def test_a_limit_that_took_effect_does_not_strike_again_while_the_body_clears_up(watch: Watch, body: Body) -> None:
    cells.soft_limit_struck(body.request)
    watch._look()
    assert not body.end()


def test_the_process_of_a_run_whose_end_was_reported_is_left_alone(watch: Watch, body: Body) -> None:
    """It may be at work on another job by now."""
    body.request.end_reported = True
    watch._look()
    assert not body.end()


def test_a_run_whose_end_was_reported_keeps_no_slot(watch: Watch, body: Body) -> None:
    in_celery: dict[int, ApplyResult] = {}
    body.request.pool_result = ApplyResult(in_celery, None)
    in_celery.clear()  # the connection to the broker was lost
    watch._look()
    assert in_progress.forgotten_by_celery == 1
    body.request.end_reported = True
    watch._look()
    assert in_progress.forgotten_by_celery == 0


def test_it_forgets_runs_that_are_over(watch: Watch, body: Body) -> None:
    """A worker runs for months."""
    watch._look()
    body.end()
    watch._look()
    assert (len(watch._struck), len(watch._found_dead)) == (1, 1)
    body.request.end_stored()
    watch._look()
    assert (len(watch._struck), len(watch._found_dead)) == (0, 0)
