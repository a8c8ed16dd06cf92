"""The line for a lock: who is next, who is ahead of whom, and waking the first."""

import logging

from django.db import connection
from django.db.models import Q, QuerySet

from cnaasjobs.db.clock import DatabaseNow, now_sql
from jobs.broker import publisher
from jobs.dispatch import sending
from jobs.models import Job
from jobs.states import Status

log = logging.getLogger(__name__)


def line(lock_name: str) -> QuerySet[Job]:
    """The jobs in line for a lock, first come first served: by the time they fell due, then id."""
    waiting = Job.objects.filter(status=Status.SCHEDULED.value, lock_name=lock_name, scheduled_time__lte=DatabaseNow())
    return waiting.order_by("scheduled_time", "id")


def ahead_of(job: Job) -> Q:
    """Those before ``job`` in its line."""
    return Q(scheduled_time__lt=job.scheduled_time) | Q(scheduled_time=job.scheduled_time, id__lt=job.pk)


def wake(lock_name: str) -> bool:
    """Send the first in line for a free lock on its way, if it was parked. The claim decides: a race does no harm."""
    now, now_params = now_sql()
    waiting = Status.SCHEDULED.value
    with connection.cursor() as cursor:  # by hand: every end of a job with a lock comes here
        cursor.execute(
            f"UPDATE jobs_job SET parked = FALSE, dispatched_at = {now} WHERE parked AND status = %s AND id = ("
            f"SELECT id FROM jobs_job WHERE status = %s AND lock_name = %s AND scheduled_time <= {now}"
            " ORDER BY scheduled_time, id LIMIT 1) RETURNING id, task_name, queue, priority",
            [*now_params, waiting, waiting, lock_name, *now_params],
        )
        woken = cursor.fetchone()
    if woken is None:
        return False
    message = publisher.Message(*woken)
    fields = {"job_id": message.job_id, "action": "wake", "from": waiting, "to": waiting, "lock": lock_name}
    log.info("job %s: wake", message.job_id, extra=fields)
    sending.send([message])
    return True
