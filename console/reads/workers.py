"""Workers and Beats by their heartbeats: which are alive, what they serve, what they do."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import F

from cnaasjobs.db.clock import database_now
from jobs.liveness.life import Life, life_of
from jobs.models import Heartbeat, Job
from jobs.states import Status
from jobs.upkeep.unserved import queues_with_messages
from jobs.waiting.queues import Queue, queues_of

SHOWN: Final = 200
JOBS: Final = 500  # that run, on all workers together


@dataclass(frozen=True, kw_only=True)
class Process:
    beat: Heartbeat
    life: Life
    silent_for: timedelta
    queues: list[str]
    jobs: list[Job]


@dataclass(frozen=True, kw_only=True)
class Processes:
    processes: list[Process]
    queues: list[Queue]
    is_cut: bool


def processes() -> Processes:
    """Those that have not stopped come first, then the latest to stop."""
    now = database_now()
    rows = list(Heartbeat.objects.order_by(F("stopped_at").desc(nulls_first=True), "kind", "name")[: SHOWN + 1])
    running = _running([beat.pk for beat in rows if beat.stopped_at is None])
    found = [
        Process(
            beat=beat,
            life=life_of(beat, now=now),
            silent_for=max(now - beat.last_seen, timedelta()),
            queues=json.loads(beat.queues),
            jobs=running.get(beat.pk, []),
        )
        for beat in rows[:SHOWN]
    ]
    served = {queue for each in found if each.life is not Life.STOPPED for queue in each.queues}
    queues = queues_of(sorted(served.union(queues_with_messages())))
    return Processes(processes=found, queues=list(queues.values()), is_cut=len(rows) > SHOWN)


def _running(worker_ids: Collection[int]) -> dict[int, list[Job]]:
    rows = Job.objects.filter(status=Status.RUNNING.value, worker_id__in=worker_ids).order_by("id")
    found: defaultdict[int, list[Job]] = defaultdict(list)
    for job in rows.only("id", "function_name", "worker_id", "start_time")[:JOBS]:
        if job.worker_id is not None:
            found[job.worker_id].append(job)
    return dict(found)
