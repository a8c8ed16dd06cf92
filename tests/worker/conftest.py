"""Real workers with a quick heartbeat."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from celery import current_app
from kombu.message import Message
from kombu.serialization import dumps

from jobs.models import Job
from jobs.states import TERMINAL
from jobs.task import JobTask
from jobs.testing import exception_of
from jobs.worker.request import JobRequest
from tests.fake_jobs import nothing
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

StartWorker = Callable[..., Managed]


@pytest.fixture
def start_worker(platform: Platform) -> StartWorker:
    """``platform.worker`` with a quick heartbeat, and settings given in ``env``."""

    def start(name: str = "w1", *, env: dict[str, str] | None = None, **options: object) -> Managed:
        ours = {"CNAASJOBS_HEARTBEAT_SECONDS": "0.2", **(env or {})}
        return platform.worker(name, env=ours, **options)  # type: ignore[arg-type]

    return start


def status(job: Job) -> str:
    job.refresh_from_db()
    return job.status


def wait_for_status(job: Job, *wanted: str, timeout: float = 20.0) -> Job:
    wait_until(lambda: status(job) in wanted, timeout=timeout, message=lambda: f"{job} is {status(job)}, not {wanted}")
    return job


def wait_for_end(job: Job, *, timeout: float = 20.0) -> Job:
    return wait_for_status(job, *[state.value for state in TERMINAL], timeout=timeout)


def reason(job: Job) -> str:
    """Why it ended, in words."""
    exception = exception_of(job)
    return "" if exception is None else str(exception["message"])


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pool_children(worker: Managed) -> list[int]:
    """Its forks, once they are ready: then each leads a process group of its own."""
    line = psutil.Process(worker.pid).cmdline()

    def leaders() -> list[int]:
        forks = [one.pid for one in worker.children() if one.ppid() == worker.pid and one.cmdline() == line]
        return forks if all(os.getpgid(pid) == pid for pid in forks) else []

    return wait_until(leaders, message=lambda: f"{worker.children()}")


def first_line(path: Path) -> int:
    """The pid that a writer put there."""
    return int(path.read_text().splitlines()[0])


def request_of(job_id: int, task: JobTask = nothing) -> JobRequest:
    """As the consumer makes it of a message."""
    headers = {"id": str(uuid4()), "task": task.name, "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    content_type, encoding, body = dumps(((job_id,), {}, {}), serializer="json")  # type: ignore[no-untyped-call]
    form = {"headers": headers, "content_type": content_type, "content_encoding": encoding, "delivery_info": {}}
    message = Message(body, **form)  # type: ignore[no-untyped-call]
    return JobRequest(message, app=current_app, hostname="w1@here", task=task)
