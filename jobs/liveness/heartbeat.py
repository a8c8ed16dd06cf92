"""This process's own heartbeat row: one for each start of a process, alive as long as its counter grows."""

import os
from typing import Any, Literal

from django.db.models import F, QuerySet

from cnaasjobs.db.clock import DatabaseNow
from jobs.models import Heartbeat

ProcessKind = Literal["worker", "beat"]


class OwnHeartbeat:
    def __init__(self, kind: ProcessKind, name: str) -> None:
        self.kind = kind
        self.name = name
        self.row_id: int | None = None

    def beat(self, **state: Any) -> None:
        """Write one beat. A process that was frozen and taken for dead is alive again after it."""
        state |= {"last_seen": DatabaseNow(), "stopped_at": None}
        if self.row_id is None or not self._row().update(counter=F("counter") + 1, **state):
            new = Heartbeat(kind=self.kind, name=self.name, pid=os.getpid(), started_at=DatabaseNow(), **state)
            new.save(force_insert=True)
            self.row_id = new.pk

    def farewell(self) -> None:
        """Write the last beat: nothing is in progress any more."""
        self._row().update(stopped_at=DatabaseNow(), run_tokens="[]")

    def _row(self) -> QuerySet[Heartbeat]:
        """A failover or a restore may have lost the row, and given its id to another process's."""
        return Heartbeat.objects.filter(pk=self.row_id or 0, kind=self.kind, name=self.name, pid=os.getpid())
