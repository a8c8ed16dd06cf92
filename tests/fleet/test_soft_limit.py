"""The soft time limit (SIGUSR1) strikes while a participant asks the database: no device is forgotten."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db.models import F

from jobs.body import cells, posix_signals
from jobs.dispatch import scheduling
from jobs.models import Job, JobDevice, Participant
from jobs.sql import store
from jobs.states import JOIN, JobDeviceState, Status
from jobs.testing import result_of
from locks import service as locks
from tests.fake_jobs import fleets
from tests.fleet.parts import begun

pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = [f"sw{number}" for number in range(8)]


@pytest.fixture
def cell() -> Iterator[int]:
    """As of a pool child that runs a job."""
    cells.allocate()
    number = cells.take()
    assert number is not None
    before = [(signum, signal.getsignal(signum)) for signum in (signal.SIGUSR1, signal.SIGTERM)]
    posix_signals.install()
    yield number
    for signum, handler in before:
        signal.signal(signum, handler)
    cells.give_back(number)


def strikes(monkeypatch: pytest.MonkeyPatch, question: str, *, after: bool) -> list[int]:
    """When this is asked for the first time: just before the database is asked, or while its answer is on its way."""
    ask: Callable[..., Any] = getattr(store(), question)
    struck: list[int] = []

    def strike() -> None:
        struck.append(os.getpid())
        os.kill(os.getpid(), signal.SIGUSR1)

    def asked(*args: Any, **options: Any) -> Any:
        if not struck and not after:
            strike()
        answer = ask(*args, **options)
        if not struck:
            strike()
        return answer

    monkeypatch.setattr(store(), question, asked)
    return struck


def performed(job: Job, cell: int, *more: str) -> Job:
    task, message_id = current_app.tasks[job.task_name], str(uuid4())
    request = {"id": message_id, "hostname": "testing", "cell": cell}
    build_tracer(task.name, task, app=current_app)(message_id, (job.pk, *more), {}, request)
    job.refresh_from_db()
    return job


def test_the_soft_limit_counts_from_the_start_of_the_job_in_a_process_that_joins_later(cell: int) -> None:
    run, _ = begun(HOSTS)
    Job.objects.filter(pk=run.job_id).update(start_time=F("start_time") - timedelta(hours=1))
    assert performed(Job.objects.get(pk=run.job_id), cell, JOIN).status == Status.RUNNING
    told = cells.read(cell)
    assert told is not None
    assert told.began <= time.monotonic() - 3600


@pytest.mark.parametrize("after", [False, True], ids=["before the statement", "after it"])
@pytest.mark.parametrize("question", ["begin_devices", "take_devices", "write_devices", "leave"])
def test_the_soft_limit_is_heeded_between_two_statements(
    question: str, after: bool, cell: int, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.CNAASJOBS_REPORT_SECONDS = 0.01
    begun: list[str] = []
    act = fleets.act

    def noted(device: str) -> Any:
        begun.append(device)
        return act(f"{device}=naps:0.05")

    monkeypatch.setattr(fleets, "act", noted)
    struck = strikes(monkeypatch, question, after=after)
    job = performed(scheduling.schedule(fleets.each, {"hosts": HOSTS, "at_once": 2}), cell)
    assert struck
    told = cells.read(cell)
    assert told is not None
    assert told.soft_limit_struck
    found = {state: set[str]() for state in JobDeviceState}
    for host, state in JobDevice.objects.filter(job=job).values_list("host", "state"):
        found[JobDeviceState(state)].add(host)
    # What it was working on is over; what no thread had begun is given back.
    assert found[JobDeviceState.DONE] == set(begun)
    assert not found[JobDeviceState.TAKEN]
    assert found[JobDeviceState.WAITING] == set(HOSTS) - set(begun)
    if question == "leave":  # the last safe point was passed
        assert (job.status, job.exception_type) == (Status.FINISHED, None)
    else:
        assert (job.status, job.exception_type) == (Status.EXCEPTION, "TimeLimitExceeded")
        assert len(begun) < len(HOSTS)
    assert set(result_of(job)["devices"]) == set(begun)
    assert not Participant.objects.exists()
    assert not locks.held().exists()
