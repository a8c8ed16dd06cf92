"""Which workers serve a queue, how many slots they have, and how many jobs wait for one."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from cnaasjobs.db.clock import DatabaseNow
from jobs.liveness.life import not_stopped
from jobs.models import Heartbeat, Job
from jobs.states import Status
from jobs.waiting_rows import DUE_FIRST, SENT, SENT_FIRST, UNSENT

COUNTED: Final = 1000  # of one queue
_REMEMBERED: Final = 100  # how many heartbeats are searched for the last worker that served a queue


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A process that is gone: its name, and its last heartbeat."""

    name: str
    last_seen: datetime


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The present state of a queue. A silent worker counts: it may be back in a moment."""

    name: str
    workers: int
    slots: int
    busy: int  # slots of these workers in which a job runs, of whichever queue
    waiting: int  # jobs that are due and do not wait for a lock, counted up to COUNTED
    last: Seen | None  # who served it last, if nobody does now


@dataclass(frozen=True, kw_only=True)
class Beat:
    """Whether any Beat lives. A silent one counts."""

    lives: bool
    last: Seen | None  # if none does


def queues_of(names: Collection[str]) -> dict[str, Queue]:
    """How each of these queues is served. It takes one statement for all of them, and up to three more for each."""
    alive = [
        (json.loads(queues), concurrency, len(json.loads(tokens)))
        for queues, concurrency, tokens in not_stopped("worker").values_list("queues", "concurrency", "run_tokens")
    ]
    found = {}
    for name in names:
        serving = [(slots, busy) for queues, slots, busy in alive if name in queues]
        found[name] = Queue(
            name=name,
            workers=len(serving),
            slots=sum(slots for slots, _ in serving),
            busy=sum(busy for _, busy in serving),
            waiting=_waiting(name),
            last=None if serving else _last_that_served(name),
        )
    return found


def beat() -> Beat:
    lives = not_stopped("beat").exists()
    return Beat(lives=lives, last=None if lives else _last_beat())


def _last_beat() -> Seen | None:
    gone = Heartbeat.objects.filter(kind="beat").order_by("-last_seen").values_list("name", "last_seen").first()
    return Seen(name=gone[0], last_seen=gone[1]) if gone else None


def _waiting(queue: str) -> int:
    """How many jobs of the queue are due, counted up to COUNTED. Each of the two counts has a partial index."""
    due = Job.objects.filter(status=Status.SCHEDULED.value, queue=queue)
    # In the index's order: otherwise PostgreSQL would scan the whole table once many jobs had waited, because it
    # expects to find enough soon.
    sent = due.filter(SENT).order_by(*SENT_FIRST)
    unsent = due.filter(UNSENT, scheduled_time__lte=DatabaseNow()).order_by(*DUE_FIRST)
    return min(COUNTED, sum(part[:COUNTED].count() for part in (sent, unsent)))


def _last_that_served(queue: str) -> Seen | None:
    gone = Heartbeat.objects.filter(Q(kind="worker") & Q(queues__contains=json.dumps(queue))).order_by("-last_seen")
    for name, last_seen, queues in gone.values_list("name", "last_seen", "queues")[:_REMEMBERED]:
        if queue in json.loads(queues):
            return Seen(name=name, last_seen=last_seen)
    return None
