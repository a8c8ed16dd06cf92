"""The soft time limit raises inside a body and nowhere else."""

import os
import signal
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery import current_app
from celery._state import _task_stack
from celery.exceptions import SoftTimeLimitExceeded

from jobs.body import cells, posix_signals


@pytest.fixture
def request_of_job() -> Iterator[SimpleNamespace]:
    """As in a pool child that runs a job."""
    cells.allocate()
    request = SimpleNamespace(cell=cells.take(), job=SimpleNamespace(ctx=SimpleNamespace(soft_limit_strikes=int)))
    cells.taken(request)
    before = [(number, signal.getsignal(number)) for number in (signal.SIGUSR1, signal.SIGTERM)]
    _task_stack.push(SimpleNamespace(request=request))
    posix_signals.install()
    yield request
    _task_stack.pop()
    for number, handler in before:
        signal.signal(number, handler)
    cells.give_back(request.cell)


def strike() -> None:
    os.kill(os.getpid(), signal.SIGUSR1)


def has_struck(request: SimpleNamespace) -> bool:
    told = cells.read(request.cell)
    return told is not None and told.soft_limit_struck


def test_the_soft_limit_raises_in_a_body(request_of_job: SimpleNamespace) -> None:
    with pytest.raises(SoftTimeLimitExceeded):
        posix_signals.call_body(strike)
    assert has_struck(request_of_job)


def test_the_soft_limit_raises_nothing_before_or_after_a_body(request_of_job: SimpleNamespace) -> None:
    def where() -> tuple[bool, bool]:
        here = sys._getframe()
        return posix_signals._in_body(here), posix_signals._in_body(here.f_back)  # in that the body may not have begun

    assert posix_signals.call_body(where) == (True, False)
    strike()
    posix_signals.call_body(int)
    strike()
    assert not has_struck(request_of_job)


def test_sigterm_does_nothing_to_a_job_and_what_billiard_says_between_two_jobs(request_of_job: SimpleNamespace) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    for _ in range(2):  # two jobs, and billiard set its own handlers before the first only
        posix_signals.install()
    posix_signals.call_body(os.kill, os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == []
    _task_stack.push(None)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        _task_stack.pop()
    assert heard == [signal.SIGTERM]


def test_another_tasks_own_limit_still_works(request_of_job: SimpleNamespace) -> None:
    _task_stack.push(SimpleNamespace(request=SimpleNamespace()))
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            strike()
    finally:
        _task_stack.pop()
    assert current_app.current_task is not None
