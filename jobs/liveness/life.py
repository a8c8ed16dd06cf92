"""Which processes seem alive, in one query by the database's clock: for pages and warnings. It never ends a job."""

import json
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q, QuerySet

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow
from jobs.liveness.heartbeat import ProcessKind
from jobs.models import Heartbeat


class Life(StrEnum):
    ALIVE = "alive"
    SILENT = "silent"  # no beat for so long that ``lost`` will soon call it gone
    STOPPED = "stopped"  # it said goodbye, or was found gone


def life_of(beat: Heartbeat, *, now: datetime) -> Life:
    """``now`` is the database's time."""
    if beat.stopped_at is not None:
        return Life.STOPPED
    return Life.SILENT if beat.last_seen < now - _patience() else Life.ALIVE


def with_life(life: Life) -> Q:
    """The heartbeats for which ``life_of`` returns this."""
    if life is Life.STOPPED:
        return Q(stopped_at__isnull=False)
    silent = Q(last_seen__lt=DatabaseNow() - _patience())
    return Q(stopped_at__isnull=True) & (silent if life is Life.SILENT else ~silent)


def alive(kind: ProcessKind) -> QuerySet[Heartbeat]:
    return Heartbeat.objects.filter(with_life(Life.ALIVE), kind=kind)


def not_stopped(kind: ProcessKind | None = None) -> QuerySet[Heartbeat]:
    """Processes that have not stopped, silent ones included: they may be back soon, or else upkeep will mark them."""
    beats = Heartbeat.objects.filter(stopped_at__isnull=True)
    return beats if kind is None else beats.filter(kind=kind)


def served_queues() -> set[str]:
    """The queues of the workers that have not stopped."""
    found = not_stopped("worker").values_list("queues", flat=True)
    return {queue for queues in found for queue in json.loads(queues)}


def _patience() -> timedelta:
    return timedelta(seconds=conf.worker_lost_seconds)
