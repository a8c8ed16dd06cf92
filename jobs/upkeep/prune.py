"""Deletes jobs past their retention, in the order in which they ended, and expired idempotency keys.

In batches, each in its own transaction. After a batch of jobs it pauses for as long as the batch took: nothing waits
for it, and the database has half of the time for others. Audit entries are kept.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import accumulate

from django.db import transaction
from django.db.models import Count

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.db.rows import free_rows
from jobs.background.budget import Budget
from jobs.models import IdempotencyKey, Job, JobDevice
from jobs.sql import store, totals
from jobs.states import Status

_BATCH = 100  # reading the oldest jobs steps over those of the last batch
_DEVICES = 2000  # rows of them in one batch
_KEYS = 2000
_SECONDS = 2.0
_KEYS_KEPT = timedelta(hours=24)
_START_OVER_SECONDS = 3600.0


class Prune:
    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        # By status, the time before which all its jobs are deleted. A search from there does not step over the other
        # status's.
        self._done: dict[Status, datetime] = {}
        self._started_over = clock()
        self._look = _BATCH  # how many of the oldest jobs the next batch chooses from
        self._more = False  # the last batch was a full one

    def step(self) -> int:
        """Delete for a short while. Returns how many jobs were deleted."""
        kept_days = {
            Status.FINISHED: conf.retention_finished_days,
            Status.EXCEPTION: conf.retention_exception_days,
        }
        with exclusively("prune") as mine:
            if not mine:
                return 0
            if self._clock() - self._started_over > _START_OVER_SECONDS:
                # The clock may have jumped, or old rows may have been loaded.
                self._done, self._started_over = {}, self._clock()
            budget = Budget(_SECONDS)
            _delete_keys(budget)
            now = database_now()
            return sum(
                self._prune(status, now - timedelta(days=days), budget)
                for status, days in kept_days.items()
                if days is not None
            )

    def _prune(self, status: Status, before: datetime, budget: Budget) -> int:
        deleted = 0
        while budget.left():
            begun = self._clock()
            batch = self._batch(status, before)
            deleted += len(batch)
            if not self._more:
                break
            self._sleep(min(self._clock() - begun, budget.seconds_left()))
        return deleted

    def _batch(self, status: Status, before: datetime) -> list[int]:
        with transaction.atomic():
            rows = Job.objects.filter(status=status.value, finish_time__lt=before).order_by("finish_time")
            if status in self._done:
                rows = rows.filter(finish_time__gte=self._done[status])
            oldest = list(free_rows(rows).only("pk", "finish_time")[: self._look])
            found = _few_rows(oldest)
            self._more = len(oldest) == self._look or len(found) < len(oldest)
            ids = [job.pk for job in found]
            if ids:
                totals.forget(ids)
                store().delete(ids)
            # Jobs that the batch had no room for were locked, and their devices counted, in vain.
            self._look = min(_BATCH, 2 * len(found) or _BATCH)
        if found and found[-1].finish_time is not None:
            self._done[status] = found[-1].finish_time
        return ids


def _few_rows(jobs: list[Job]) -> list[Job]:
    """The first of these jobs, as many as have at most ``_DEVICES`` device rows together; at least one."""
    counts = JobDevice.objects.filter(job_id__in=[job.pk for job in jobs]).values_list("job_id").annotate(Count("pk"))
    devices = dict(counts.order_by())
    rows = list(accumulate(devices.get(job.pk, 0) for job in jobs))
    return [job for job, so_far in zip(jobs, rows, strict=True) if so_far <= max(_DEVICES, rows[0])]


def _delete_keys(budget: Budget) -> None:
    """Ids grow with time, so the oldest row alone says whether there is anything to do."""
    before = database_now() - _KEYS_KEPT
    while budget.left():
        oldest = IdempotencyKey.objects.order_by("id").values_list("pk", "created")[:_KEYS]
        ids = [pk for pk, created in oldest if created < before]
        if ids:
            IdempotencyKey.objects.filter(pk__in=ids).delete()
        if len(ids) < _KEYS:
            break
