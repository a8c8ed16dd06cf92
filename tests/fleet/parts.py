"""Runs with participants, made by the product's own functions, and bodies in threads that stand for processes."""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

from celery import current_app
from celery.app.trace import build_tracer
from django.db import connections

from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import participants, transitions
from jobs.lifecycle.participants import Joined
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, NewFleet, Over, Taken
from jobs.states import JOIN, JobDeviceState
from jobs.task import JobTask
from locks import service as locks
from tests.factory import claim
from tests.fake_jobs import fleets

WAITING, TAKEN, DONE = (state.value for state in JobDeviceState)


def begun(
    hosts: Sequence[str] = ("a", "b", "c", "d"),
    *,
    take: int = 0,
    helpers: int = 3,
    repeats: bool = False,
    all_or_none: bool = False,
    worker_id: int | None = None,
    task: JobTask = fleets.each,
    **arguments: Any,
) -> tuple[Run, list[Taken]]:
    """A job that was claimed and came to its devices."""
    job = scheduling.schedule(task, {"hosts": list(hosts), **arguments})
    run = claim(job, worker="first", worker_id=worker_id)
    assert isinstance(run, Run)
    fleet = NewFleet(helpers=helpers, repeats=repeats, all_or_none=all_or_none, fingerprint="alike")
    taken = store().begin_devices(run, fleet, hosts, take=take, worker_id=worker_id)
    assert taken is not None
    return run, taken


def join(
    run: Run, *, token: UUID | None = None, worker: str = "second", worker_id: int | None = None, **more: Any
) -> Joined | Refused:
    options: dict[str, Any] = {"task_name": fleets.each.name, "longest": None, **more}
    return participants.join(run.job_id, run_token=token or uuid4(), worker_id=worker_id, worker=worker, **options)


def joined(run: Run, **more: Any) -> Run:
    answer = join(run, **more)
    assert isinstance(answer, Joined), answer
    return answer.run


def named(run: Run) -> UUID | None:
    return Job.objects.get(pk=run.job_id).run_token


def taking_part(run: Run) -> set[UUID]:
    return set(Participant.objects.filter(job_id=run.job_id).values_list("token", flat=True))


def ended(run: Run) -> None:
    Fleet.objects.filter(pk=run.job_id).update(end=Failure(type="X", message="x").as_json())


def aborted(run: Run) -> None:
    transitions.abort(run.job_id, reason="", by="operator")


def cleared(run: Run) -> None:
    locks.clear("devices", who="operator", origin="test", user=None)


def states(job_id: int) -> list[str]:
    return list(JobDevice.objects.filter(job_id=job_id).order_by("place").values_list("state", flat=True))


def over(device_id: int) -> Over:
    return Over(device_id, failed=False, reason=None, change_score=3, report='"done"', memo=None, age=0.0)


def leave(run: Run, batch: Batch = Batch(), *, end: str | None = None, though_waiting: bool = False) -> Any:  # noqa: B008
    orphan = Failure(type=EndReason.WORKER_SHUTDOWN, message="it stopped").as_json()
    return store().leave(run, batch, end=end, though_waiting=though_waiting, orphan=orphan)


def lose(run: Run, type: str = EndReason.WORKER_LOST) -> bool:
    return transitions.lose(run.job_id, run.run_token, type=type, message="its process is gone")


def joined_late(run: Run, **more: Any) -> Run:
    """After the last device was begun, when others are refused."""
    JobDevice.objects.create(job_id=run.job_id, place=99, host="z")
    helper = joined(run, **more)
    JobDevice.objects.filter(host="z").delete()
    return helper


class Crew:
    """Bodies of one job, each in a thread with its own connection."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.answers: list[Any] = []  # Celery's, of each body that is over
        self._threads: list[threading.Thread] = []

    def first(self, worker: str = "first") -> None:
        self._start((self.job.pk,), worker)

    def helper(self, worker: str, *, message: str | None = None) -> None:
        self._start((self.job.pk, JOIN), worker, message)

    def wait(self) -> Job:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a body did not end"
        self.job.refresh_from_db()
        return self.job

    def _start(self, args: tuple[Any, ...], worker: str, message: str | None = None) -> None:
        task = current_app.tasks[self.job.task_name]
        tracer = build_tracer(task.name, task, app=current_app)
        message_id = message or str(uuid4())
        request = {"id": message_id, "hostname": worker}
        self._run(lambda: self.answers.append(tracer(message_id, args, {}, request)))

    def _run(self, work: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                work()
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, daemon=True)  # a test that failed must not keep its process
        self._threads.append(thread)
        thread.start()


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin it in another thread, with a connection of its own. What is returned waits, and returns what it did."""
    answers: list[Any] = []

    def run() -> None:
        try:
            answers.append(work())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)  # a test that failed must not keep its process
    thread.start()

    def wait() -> Any:
        thread.join(20)
        assert not thread.is_alive()
        return answers[0]

    return wait
