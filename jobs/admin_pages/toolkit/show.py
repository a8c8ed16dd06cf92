"""How the admin's pages write a status, a time, a duration, a link: in words first, in colour second."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.end_reasons import EndReason
from jobs.models import Job
from jobs.states import Status
from jobs.waiting.reasons import in_words

NOTHING: Final = "–"

_MARKS: Final[Mapping[str, str]] = {
    "scheduled": "◷",
    "running": "▶\ufe0e",
    "finished": "✓",
    "exception": "✕",
    "aborted": "■",
    "lost": "!",
}


def look_of(status: str, exception_type: str | None) -> str:
    """The class of a status in the style sheet. Aborted and lost jobs do not look like failed ones."""
    if status != Status.EXCEPTION:
        return status.lower()
    reason = EndReason.of(exception_type)
    if reason is EndReason.JOB_ABORTED:
        return "aborted"
    return "lost" if reason is not None and reason.is_lost else "exception"


def status_badge(job: Job) -> SafeString:
    look = look_of(job.status, job.exception_type)
    badge = format_html('<span class="badge is-{}"><i>{}</i>{}</span>', look, _MARKS[look], job.status)
    note = status_note(job)
    return format_html('{} <span class="badge-note">{}</span>', badge, note) if note else badge


def status_note(job: Job) -> str:
    """What the four states do not show."""
    match job.status:
        case Status.EXCEPTION:
            return job.exception_type or ""
        case Status.RUNNING if job.abort_reason is not None:
            return "told to stop"
        case Status.SCHEDULED if job.parked:
            return "in line"
    return ""


def moment(when: datetime | None, *, short: bool = False) -> SafeString | str:
    """A time in UTC to the second, with microseconds in the tooltip. ``short`` omits the current year."""
    if when is None:
        return NOTHING
    is_this_year = short and when.year == timezone.now().year
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S.%f}",
        f"{when:%m-%d %H:%M:%S}" if is_this_year else f"{when:%Y-%m-%d %H:%M:%S}",
    )


def span(length: timedelta | None) -> str:
    return NOTHING if length is None else in_words(length)


def job_link(job_id: int | None, text: str | None = None) -> SafeString | str:
    if job_id is None:
        return NOTHING
    return format_html('<a href="{}">{}</a>', job_url(job_id), text or job_id)


def job_url(job_id: int) -> str:
    return reverse("admin:jobs_job_change", args=[job_id])


def text(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)
