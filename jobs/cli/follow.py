"""Waiting for jobs until they have ended: with bars on a terminal, with a line for each change elsewhere."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from django.db import Error, connection
from django.db.models import Q
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from cnaasjobs.db.in_words import no_answer
from cnaasjobs.db.not_now import not_now
from cnaasjobs.plain_text import clean
from jobs.models import Job, JobDevice, JobOutcome
from jobs.states import TERMINAL, JobDeviceState, Status
from jobs.waiting.progress import progress_of
from jobs.waiting.why import reasons_of

POLL_SECONDS: Final = 0.5


class Verdict(IntEnum):
    """The exit code."""

    FINISHED = 0
    FAILED = 1  # one ended in an exception, or a device failed
    NOT_FOUND = 2
    TIMED_OUT = 3


Seen = Callable[[Sequence[Job]], None]
Say = Callable[[str], None]


class Patience:
    """Keeps a command running while the database is away, and says so once per outage."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._is_away = False

    @contextmanager
    def outlasting(self) -> Iterator[None]:
        """Skips the rest of the block if the database is away, and says so."""
        try:
            yield
            self._is_away = False
        except Error as exc:
            if not not_now(exc):
                raise
            connection.close()
            if not self._is_away:
                self._say(f"{no_answer(exc)} (waiting)")
            self._is_away = True


def wait(job_ids: Sequence[int], *, timeout: float | None, seen: Seen, say: Say) -> Verdict:
    """Wait until all jobs have ended, also while the database is away. Ends at once if one of them does not exist."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause, patience = threading.Event(), Patience(say)
    while True:
        with patience.outlasting():
            jobs = _read(job_ids)
            if len(jobs) < len(set(job_ids)):
                return Verdict.NOT_FOUND
            seen(jobs)
            if all(job.status in TERMINAL for job in jobs):
                return _verdict(jobs)
        left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return Verdict.TIMED_OUT
        pause.wait(min(POLL_SECONDS, left))


def has_failed_device(job_id: int) -> bool:
    """Whether a device of the job failed or was left undone: by its device rows, or by its result if it has none."""
    rows = JobDevice.objects.filter(job_id=job_id)
    if rows.exists():
        return rows.filter(Q(failed=True) | ~Q(state=JobDeviceState.DONE.value)).exists()
    text = JobOutcome.objects.filter(pk=job_id).values_list("result", flat=True).first()
    if not text or '"failed"' not in text:
        return False
    result = json.loads(text)
    devices = result.get("devices") if isinstance(result, dict) else None
    if not isinstance(devices, dict):
        return False
    return any(isinstance(device, dict) and device.get("failed") is True for device in devices.values())


@contextmanager
def shown(console: Console) -> Iterator[Seen]:
    """Shows how far the jobs are, as ``wait`` sees them."""
    if not console.is_terminal:
        yield _Lines(console).seen
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        yield _Bars(bars).seen


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[int, TaskID] = {}

    def seen(self, jobs: Sequence[Job]) -> None:
        progress, held = progress_of([job.pk for job in jobs]), reasons_of(jobs)
        for job in jobs:
            if job.pk not in self._tasks:
                title = f"job {job.pk} {clean(job.function_name)}"
                self._tasks[job.pk] = self._bars.add_task(title, total=None, said="")
            task, how_far, ended = self._tasks[job.pk], progress.get(job.pk), job.status in TERMINAL
            done = how_far.done if how_far else int(ended)
            total = how_far.total if how_far and how_far.total is not None else (done or 1 if ended else None)
            failed = f" {how_far.failed} failed" if how_far and how_far.failed else ""
            reasons = " ".join(map(str, held[job.pk]))
            said = f"{job.status} {clean(job.exception_type)}{failed} {clean(reasons)}".strip()
            self._bars.update(task, completed=done, total=total, said=said)
            if ended:
                self._bars.stop_task(task)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[int, str] = {}

    def seen(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            said = f"job {job.pk} {clean(job.function_name)}: {job.status} {clean(job.exception_type)}".rstrip()
            if self._said.get(job.pk) != said:
                self._said[job.pk] = said
                self._console.print(said)


def _read(job_ids: Sequence[int]) -> list[Job]:
    return list(Job.objects.filter(pk__in=job_ids).defer("finished_devices", "start_arguments").order_by("id"))


def _verdict(jobs: Sequence[Job]) -> Verdict:
    failed = any(job.status != Status.FINISHED or has_failed_device(job.pk) for job in jobs)
    return Verdict.FAILED if failed else Verdict.FINISHED
