"""Beat's own row among the heartbeats: one for each start of a process, alive while its counter grows."""

import os
import socket

from django.db.models import F

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import DatabaseNow
from jobs.models import Heartbeat


class BeatHeartbeat:
    def __init__(self) -> None:
        self.row_id: int | None = None

    def step(self) -> float:
        """Write one beat. Returns the seconds until the next."""
        if not self._beat():
            self.row_id = Heartbeat.objects.create(
                kind="beat",
                name=f"beat@{socket.gethostname()}",
                pid=os.getpid(),
                started_at=DatabaseNow(),
                last_seen=DatabaseNow(),
            ).pk
        return conf.heartbeat_seconds

    def _beat(self) -> bool:
        # One that was frozen, and taken for dead meanwhile, is alive again.
        return self.row_id is not None and bool(
            Heartbeat.objects.filter(pk=self.row_id).update(
                counter=F("counter") + 1, last_seen=DatabaseNow(), stopped_at=None
            )
        )

    def farewell(self) -> None:
        if self.row_id is not None:
            Heartbeat.objects.filter(pk=self.row_id).update(stopped_at=DatabaseNow())
