"""What front ends are told besides the feed's events: what happened just before, and which devices changed."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

from cnaasjobs.db.clock import database_now
from jobs.feed.objects import job_objects
from jobs.models import Job
from jobs.result_views import view_of
from jobs.states import Status

RECENT: Final = timedelta(seconds=10)
_MOST: Final = 1000


def jobs() -> list[dict[str, Any]]:
    """The jobs that began or ended in the last ten seconds, in the form that events have."""
    since = database_now() - RECENT
    began = Job.objects.filter(status=Status.RUNNING.value, start_time__gte=since)
    ended = Job.objects.filter(finish_time__gte=since)
    rows = [
        job
        for found in (began, ended)
        for job in found.defer("finished_devices", "start_arguments").order_by("id")[:_MOST]
    ]
    return list(job_objects(rows))


def syncs(job_ids: Collection[int]) -> list[dict[str, Any]]:
    """A line for each device that one of these jobs changed."""
    return [
        {
            "syncevent_hostname": host,
            "syncevent_data": {"cause": "sync_devices", "by": job.scheduled_by, "job_id": job.pk},
        }
        for job in Job.objects.filter(pk__in=job_ids).order_by("id")
        for host in view_of(job.task_name).changed_devices(job)
    ]
