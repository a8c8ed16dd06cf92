"""How far jobs are: their devices that are done and failed, of how many. One query for all, and one more for rows."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q

from jobs.models import Job, JobDevice
from jobs.states import DeviceState


@dataclass(frozen=True, kw_only=True)
class Progress:
    done: int
    total: int | None  # None: the job has not said how many there are
    failed: int | None  # None: it keeps no row for each device


def progress_of(job_ids: Collection[int]) -> Mapping[int, Progress]:
    """Of those jobs that have begun and go through devices."""
    found = {
        row["job_id"]: Progress(done=row["done"], total=row["total"], failed=row["failed"])
        for row in JobDevice.objects.filter(job_id__in=job_ids)
        .order_by()
        .values("job_id")
        .annotate(total=Count("pk"), done=Count("pk", filter=_DONE), failed=Count("pk", filter=Q(failed=True)))
    }
    without_rows = Job.objects.filter(pk__in=[each for each in job_ids if each not in found])
    texts = without_rows.filter(finished_devices__isnull=False)
    for job_id, finished, arguments in texts.values_list("id", "finished_devices", "start_arguments"):
        done, named = len(json.loads(finished or "[]")), json.loads(arguments).get("hostnames")
        total = len(named) if isinstance(named, list) else None
        if done or total is not None:
            found[job_id] = Progress(done=done, total=total, failed=None)
    return found


_DONE = Q(state=DeviceState.DONE.value)
