"""Asks idle processes to help with the devices of running jobs.

It invites as many as there are idle slots, by the heartbeats and by the database. A worker with several slots keeps one
of them for the next job, so that a job never waits for a slot that a helper has just taken. The run with the fewest
participants is served first. A message that nobody takes within seconds is dropped, and a later round sends another.

A run in which nobody takes part ends if nobody joins it soon. So one process is asked for it whether a slot is idle or
not, and by a message that goes before those of jobs.

The rounds follow each other quickly, because a sync is on its own until the first of them.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Count, Exists, F, OuterRef, QuerySet

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.broker import publisher
from jobs.liveness import life
from jobs.models import Heartbeat, Job, JobDevice, Participant
from jobs.schedulable import HIGHEST_PRIORITY
from jobs.states import JobDeviceState, Status
from jobs.upkeep.orphans import longest
from jobs.waiting_rows import SENT

_MOST: Final = 200  # invitations in one round


@dataclass
class _Worker:
    queues: frozenset[str]
    idle: int


@dataclass
class _Run:
    """A run that has devices to begin."""

    job: Job
    participants: int
    room: int  # processes that it could still use
    coming: int = field(default=0)  # asked in rounds before
    asked: int = field(default=0)

    @property
    def has_room(self) -> bool:
        return self.room > self.coming + self.asked

    @property
    def priority(self) -> int:
        return self.job.priority if self.participants else HIGHEST_PRIORITY


class Invite:
    def __init__(self) -> None:
        # By job: how many will take part once all that were asked have come, and until when they are expected.
        self._expected: dict[int, tuple[int, float]] = {}

    def step(self) -> int:
        """Send the invitations of this round. Returns how many."""
        with exclusively("invite") as mine:
            if not mine or not (runs := _runs()):
                return 0
            now = time.monotonic()
            self._expected = {job: found for job, found in self._expected.items() if now < found[1]}
            for run in runs:
                run.coming = self._coming(run)
            _share(runs, _workers())
            return self._send([run for run in runs if run.asked])

    def _coming(self, run: _Run) -> int:
        """How many of those that were asked in the last rounds may still be on their way."""
        expected, _ = self._expected.get(run.job.pk, (0, 0.0))
        return max(0, expected - run.participants)

    def _send(self, asked: list[_Run]) -> int:
        messages = [
            publisher.Message(run.job.pk, run.job.task_name, run.job.queue, run.priority, joins=True)
            for run in asked
            for _ in range(run.asked)
        ]
        unsent = Counter(publisher.publish(messages))
        until = time.monotonic() + conf.upkeep_seconds
        for run in asked:
            sent = run.asked - unsent[run.job.pk]
            if sent:
                record(JobAction.INVITE, job_id=run.job.pk, count=sent)
            self._expected[run.job.pk] = run.participants + run.coming + sent, until
        return len(messages) - unsent.total()


def may_have_help() -> QuerySet[Job]:
    return Job.objects.filter(status=Status.RUNNING.value, fleet__helpers__gt=0)


def _runs() -> list[_Run]:
    waiting = JobDevice.objects.filter(job_id=OuterRef("pk"), state=JobDeviceState.WAITING.value)
    rows = Job.objects.filter(
        Exists(waiting),
        status=Status.RUNNING.value,
        abort_reason__isnull=True,
        fleet__end__isnull=True,
        fleet__helpers__gt=0,
        fleet__attempt=F("attempt"),
    )
    counted = rows.annotate(taking_part=Count("participants")).select_related("fleet")
    now = database_now()
    found = []
    for job in counted.order_by("pk"):
        limit = longest(job.task_name)
        too_late = limit is not None and job.start_time and (now - job.start_time).total_seconds() >= limit
        room = min(job.fleet.helpers + 1 - job.taking_part, _left(job.pk, alone=not job.taking_part))
        if room > 0 and not too_late:
            found.append(_Run(job, job.taking_part, room))
    return found


def _left(job_id: int, *, alone: bool) -> int:
    """How many devices wait for somebody, counted only as far as it matters.

    One that has cost a process waits for the last participant, who begins it alone: another would leave again.
    """
    waiting = JobDevice.objects.filter(job_id=job_id, state=JobDeviceState.WAITING.value)
    return (waiting if alone else waiting.filter(tries=0)).order_by()[:_MOST].count()


def _workers() -> list[_Worker]:
    """Live workers, with the number of idle slots by the heartbeat or by the database, whichever is lower."""
    running = Job.objects.filter(status=Status.RUNNING.value, participants__isnull=True)
    busy = Counter(running.values_list("worker_id", flat=True))
    busy += Counter(Participant.objects.filter(job__status=Status.RUNNING.value).values_list("worker_id", flat=True))
    return [_worker(beat, busy[beat.pk]) for beat in life.alive("worker")]


def _worker(beat: Heartbeat, busy: int) -> _Worker:
    kept = 1 if beat.concurrency > 1 else 0
    taken = max(busy, len(json.loads(beat.run_tokens)))
    return _Worker(frozenset(json.loads(beat.queues)), beat.concurrency - kept - taken)


def _share(runs: list[_Run], workers: list[_Worker]) -> None:
    """Give free slots to runs, each to the run with the fewest helpers.

    Slots for helpers that are on their way, and for jobs that wait for one, are taken off first.
    """
    for run in runs:
        run.asked = 0 if run.participants or run.coming else 1
        for _ in range(run.coming + run.asked):
            _slot_taken(workers, run.job.queue)
    sent = Job.objects.filter(SENT, status=Status.SCHEDULED.value)
    for queue, jobs in sent.values_list("queue").annotate(Count("pk")):
        for _ in range(min(jobs, _MOST)):
            if not _slot_taken(workers, queue):
                break
    for _ in range(_MOST):
        open_runs = [run for run in runs if run.has_room]
        open_runs.sort(key=lambda run: (run.participants + run.coming + run.asked, run.job.pk))
        if not any(_invited(run, workers) for run in open_runs):
            return


def _invited(run: _Run, workers: list[_Worker]) -> bool:
    if _slot_taken(workers, run.job.queue):
        run.asked += 1
        return True
    return False


def _slot_taken(workers: list[_Worker], queue: str) -> bool:
    for worker in workers:
        if worker.idle > 0 and queue in worker.queues:
            worker.idle -= 1
            return True
    return False
