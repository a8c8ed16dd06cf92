"""Celery Beat's scheduler: ``celery -A cnaasjobs beat``.

Each of its threads has its own database connection, so that none waits for another: this one fires recurring schedules
(``recurring``); ``sender`` sends the messages of due jobs, woken by ``listener`` on PostgreSQL; ``heartbeat`` shows
that the process is alive; ``repairs`` and ``chores`` are upkeep, and the latter talks to the broker. Any number of
Beats may run: the database decides.
"""

import time
from typing import Any

from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from cnaasjobs.db import channel
from cnaasjobs.db.not_now import not_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.faults import Complaint, bound_statements, forget_connection
from jobs.background.loops import Loop
from jobs.beat.heartbeat import BeatHeartbeat
from jobs.beat.listener import Listener
from jobs.beat.recurring import LOOK_SECONDS, Recurring
from jobs.beat.sender import Sender
from jobs.upkeep import runner

_RETRY_SECONDS = 1.0
_FAREWELL_SECONDS = 3.0


class Scheduler(DatabaseScheduler):
    """Keeps django-celery-beat's tables and admin; replaces what relies on this machine's clock or its own memory."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._loops: list[Loop] = []
        self._recurring = Recurring()
        self._complaint = Complaint("Beat's recurring schedules")
        self._configured = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Celery calls this once, at start. The database may be away then, so it waits for the first tick."""

    def tick(self, *_: Any, **__: Any) -> float:
        """Fire the recurring schedules that are due and wait for the next one.

        Returns 0, so that Beat does not sleep.
        """
        if not self._loops:
            self._start()
        time.sleep(self._step())  # the handler of SIGTERM raises out of the wait
        return 0.0

    def sync(self) -> None:
        """What is in memory is never written back."""

    def close(self) -> None:
        """End the threads. Called from a signal's handler, and a second time after it."""
        for loop in self._loops:
            loop.stop()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        for loop in self._loops:
            loop.join(max(0.0, deadline - time.monotonic()))
        super().close()

    def _step(self) -> float:
        try:
            bound_statements()
            if not self._configured:
                self._configure()
                self._configured = True
            pause = self._recurring.step()
        except Exception as exc:  # noqa: BLE001  Beat must survive whatever one round raises
            self._complaint.failed(exc)
            forget_connection()
            return _RETRY_SECONDS
        self._complaint.over()
        return min(pause, LOOK_SECONDS)

    def _start(self) -> None:
        heartbeat = BeatHeartbeat()
        listener = Listener(wake=lambda: sender.wake())
        sender = Loop("sender", Sender(listening=lambda: listener.listening).step)
        self._loops = [
            Loop("heartbeat", heartbeat.step, at_end=heartbeat.farewell),
            sender,
            Loop("repairs", runner.repairs(own_heartbeat=lambda: heartbeat.row_id).step),
            Loop("chores", runner.chores().step),
        ]
        if channel.can_listen():
            self._loops.append(Loop("listener", listener.step))
        for loop in self._loops:
            loop.start()

    # --- schedules from the settings ----------------------------------------------------------------------------------

    def _configure(self) -> None:
        """Bring CELERY_BEAT_SCHEDULE into the tables."""
        for name, entry in self.app.conf.beat_schedule.items():
            try:
                self._install(name, dict(entry))
            except Exception as exc:
                if not_now(exc):
                    raise
                record(JobAction.SETTING_REFUSED, exc=exc, schedule=name)
        # Upkeep does it instead: no message may name one of Celery's own tasks.
        PeriodicTask.objects.filter(task="celery.backend_cleanup").delete()

    def _install(self, name: str, entry: dict[str, Any]) -> None:
        """Write an entry only if it differs: a restart of Beat must not move a schedule's next time."""
        fields = self.Entry._unpack_fields(**entry)
        present = PeriodicTask.objects.filter(name=name).first()
        if present is None or any(getattr(present, field) != value for field, value in fields.items()):
            PeriodicTask.objects.update_or_create(name=name, defaults=fields)
