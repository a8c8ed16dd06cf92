"""How the admin's pages write a status, a time, a duration, a link: in words first, in colour second."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.appearance import MARKS, note_of
from jobs.models import Job
from jobs.waiting.reasons import in_words

NOTHING: Final = "–"


def status_badge(job: Job, look: str) -> SafeString:
    """``look``: by ``jobs.waiting.progress``."""
    badge = format_html('<span class="badge is-{}"><i>{}</i>{}</span>', look, MARKS[look], job.status)
    note = note_of(job)
    return format_html('{} <span class="badge-note">{}</span>', badge, note) if note else badge


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
