"""Sends the messages of recurring Celery tasks that are not jobs, in a thread of its own: a broker that hangs must not
delay the schedules of jobs.

A task that is not a job has no row that could wait for the broker. If the broker does not take its message, the fire is
given back, so that it is tried again and still fires only once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import Error
from django.db.models import F
from django_celery_beat.models import PeriodicTask

from cnaasjobs.conf import conf
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.background.faults import bound_statements, forget_connection
from jobs.broker import queues
from jobs.broker.connection import Broker
from jobs.broker.opening import is_redis
from jobs.schedulable import HIGHEST_PRIORITY


class PlainSender:
    def __init__(self, given_back: Callable[[int], None]) -> None:
        """``given_back`` is called in this sender's thread with the id of a schedule whose fire did not happen."""
        self._given_back = given_back
        self._broker = Broker()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beat-plain")

    def send(
        self, row: PeriodicTask, args: list[Any], kwargs: dict[str, Any], *, fired_at: datetime, last: bool
    ) -> None:
        self._thread.submit(self._send, row, args, kwargs, fired_at, last)

    def close(self) -> None:
        """Wait for the message that is being sent, which takes a limited time."""
        self._thread.shutdown(wait=True)

    def _send(self, row: PeriodicTask, args: list[Any], kwargs: dict[str, Any], fired_at: datetime, last: bool) -> None:
        try:
            with self._broker.channel() as channel:
                _publish(row, args, kwargs, current_app.amqp.Producer(channel, auto_declare=False))
        except Exception as exc:  # noqa: BLE001  the fire must be given back, whatever failed
            record(JobAction.FIRE_RETURNED, schedule=row.name, task=row.task, error=str(exc))
            self._give_back(row, fired_at, last)

    def _give_back(self, row: PeriodicTask, fired_at: datetime, last: bool) -> None:
        try:
            bound_statements()
            PeriodicTask.objects.filter(pk=row.pk, last_run_at=fired_at, total_run_count__gt=0).update(
                last_run_at=row.last_run_at,
                total_run_count=F("total_run_count") - 1,
                **({"enabled": True} if last else {}),
            )
        except Error as exc:
            record(JobAction.FIRE_LOST, exc=exc, schedule=row.name, task=row.task)
        finally:
            forget_connection()  # the next use may be long from now
        self._given_back(row.pk)


def _publish(row: PeriodicTask, args: list[Any], kwargs: dict[str, Any], producer: Any) -> None:
    options: dict[str, Any] = {}
    if row.queue is not None:
        options["queue"] = row.queue
    if row.priority is not None:
        priority = min(row.priority, HIGHEST_PRIORITY)
        options["priority"] = queues.for_broker(priority, redis=is_redis(current_app.connection_for_write()))
    if row.expires_:
        options["expires"] = row.expires_
    # Without the row's headers: Celery would take them as its own, and they could tell a worker anything.
    headers = {"periodic_task_name": row.name, "celery_beat_task": True}
    options.update(headers=headers, producer=producer, retry=False, confirm_timeout=conf.publish_timeout_seconds)
    task = current_app.tasks.get(row.task)
    if task is not None:
        task.apply_async(args, kwargs, **options)
    else:  # Beat need not know it, its workers do
        current_app.send_task(row.task, args, kwargs, **options)
