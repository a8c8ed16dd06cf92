"""Why a SCHEDULED job does not run yet, in sentences with links."""

from typing import Any, Final

from django.db.models import QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin_pages.toolkit.show import job_link, moment, span
from jobs.dispatch import line
from jobs.liveness.life import served_queues
from jobs.models import Job
from locks import service as locks

COUNTED: Final = 1000


def reasons(job: Job) -> list[SafeString]:
    """The job carries ``asked_at``, the database's time."""
    now = job.asked_at  # type: ignore[attr-defined]  # annotated
    if job.scheduled_time > now:
        return [
            format_html("It is due at {} UTC, in {}.", moment(job.scheduled_time), span(job.scheduled_time - now)),
        ]
    found = _lock(job) if job.lock_name else []
    if not job.parked:
        found += _message(job, now)
    return found


def _lock(job: Job) -> list[SafeString]:
    name = str(job.lock_name)
    holder_id = locks.held().filter(name=name).values_list("holder_id", flat=True).first()
    ahead = line.of(name).filter(line.ahead_of(job))
    found = []
    if holder_id is not None:
        function_name = Job.objects.filter(pk=holder_id).values_list("function_name", flat=True).first()
        found.append(
            format_html(
                "It waits for lock {}, held by job {} ({}).", name, job_link(holder_id), function_name or "gone"
            )
        )
    if place := ahead.order_by()[:COUNTED].count():
        found.append(_place(ahead, name, place))
    elif holder_id is not None:
        found.append(SafeString("It is next in line."))
    elif job.parked:
        found.append(format_html("Lock {} is free; it is about to be woken.", name))
    return found


def _place(ahead: QuerySet[Job], name: str, place: int) -> SafeString:
    directly = ahead.order_by("-scheduled_time", "-id").values_list("id", "function_name").first()
    number = f"{COUNTED} or more" if place >= COUNTED else str(place)
    words = format_html("{} {} before it in line for lock {}", number, "job is" if place == 1 else "jobs are", name)
    if directly is None:  # it started meanwhile
        return format_html("{}.", words)
    return format_html("{}, directly before it job {} ({}).", words, job_link(directly[0]), directly[1])


def _message(job: Job, now: Any) -> list[SafeString]:
    if job.queue not in served_queues():
        return [format_html("<strong>No live worker serves its queue {}.</strong>", job.queue)]
    if job.dispatched_at is None:
        return [format_html("It is due; Beat is about to send its message to queue {}.", job.queue)]
    waited = span(now - job.dispatched_at)
    return [format_html("Its message was sent to queue {} {} ago; no worker has started it yet.", job.queue, waited)]
