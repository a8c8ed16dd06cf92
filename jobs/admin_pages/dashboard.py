"""The numbers of the admin's front page.

Each comes from an index, and counting stops where the exact number no longer matters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import database_now
from jobs.admin_pages.job_filters import IN_LINE, UNAPPROVED
from jobs.admin_pages.toolkit.show import status_badge
from jobs.approval_models import JobApproval
from jobs.liveness.heartbeat import ProcessKind
from jobs.liveness.life import Life, alive
from jobs.models import AuditEntry, Job
from jobs.states import Status
from jobs.upkeep.unserved import unserved
from jobs.waiting.progress import look_by
from jobs.waiting_rows import DUE_FIRST, LINE_FIRST, SENT, SENT_FIRST, UNSENT
from locks import service as locks

COUNTED: Final = 10_000
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Number:
    """How many of something, and the list that shows them."""

    words: str
    count: int
    url: str
    is_wrong: bool = False

    @property
    def text(self) -> str:
        return f"{COUNTED:,}+" if self.count > COUNTED else f"{self.count:,}"


def context(request: HttpRequest) -> dict[str, Any]:
    """Only what this user may see."""
    can = request.user.has_perm
    return {
        "numbers": [*(_jobs() if can("jobs.view_job") else ()), *_others(can)],
        "unserved": unserved() if can("jobs.view_job") else [],
        "failures": list(_latest_failures()) if can("jobs.view_job") else [],
        "deeds": list(AuditEntry.objects.order_by("-id")[:8]) if can("jobs.view_auditentry") else None,
    }


def _jobs() -> Iterator[Number]:
    now = database_now()
    waiting = Job.objects.filter(status=Status.SCHEDULED.value)
    later = waiting.filter(UNSENT, scheduled_time__gt=now).order_by(*DUE_FIRST)
    sent = waiting.filter(SENT).order_by(*SENT_FIRST)
    unsent = waiting.filter(UNSENT, scheduled_time__lte=now).order_by(*DUE_FIRST)
    in_line = waiting.filter(lock_name__isnull=False, parked=True, unapproved__isnull=True).order_by(*LINE_FIRST)
    ended = Job.objects.filter(finish_time__gte=now - DAY).order_by("finish_time")
    failed = ended.filter(status=Status.EXCEPTION.value)
    yield _number("running", [Job.objects.filter(status=Status.RUNNING.value)], status="RUNNING")
    yield _number("due, waiting for a worker", [sent, unsent], status="SCHEDULED")
    yield _number("in line for a lock", [in_line], status=IN_LINE)
    approvals = _number("waiting for approval", [JobApproval.objects.filter(verdict="")], status=UNAPPROVED)
    if approvals.count:
        yield approvals
    yield _number("scheduled for later", [later], status="SCHEDULED", scheduled_time_from=f"{now:%Y-%m-%dT%H:%M:%S}")
    yield _number("ended in 24 hours", [ended], finish_time_from="24h")
    yield _number("of these, exceptions", [failed], status="EXCEPTION", finish_time_from="24h")


def _others(can: Any) -> Iterator[Number]:
    if can("locks.view_lock"):
        held = _counted(locks.held())
        yield Number(words="locks held", count=held, url=reverse("admin:locks_lock_changelist"))
    if can("jobs.view_heartbeat"):
        kinds: tuple[tuple[ProcessKind, str], ...] = (("worker", "live workers"), ("beat", "live Beats"))
        for kind, words in kinds:
            count = _counted(alive(kind))
            url = f"{reverse('admin:jobs_heartbeat_changelist')}?{urlencode({'kind__exact': kind, 'life': Life.ALIVE})}"
            yield Number(words=words, count=count, url=url, is_wrong=not count)


def _latest_failures() -> Iterator[tuple[Job, SafeString]]:
    rows = Job.objects.filter(status=Status.EXCEPTION.value).order_by("-id")
    rows = rows.only("id", "function_name", "status", "exception_type", "finish_time", "parked", "abort_reason")[:8]
    return ((job, status_badge(job, look_by(job, None))) for job in rows)  # an exception, however far it was


def _number(words: str, parts: list[QuerySet[Any]], **shown_by: str) -> Number:
    url = f"{reverse('admin:jobs_job_changelist')}?{urlencode(shown_by)}"
    return Number(words=words, count=sum(_counted(rows) for rows in parts), url=url)


def _counted(rows: QuerySet[Any]) -> int:
    """In the order of an index: see ``jobs.waiting_rows``."""
    return rows[: COUNTED + 1].count()
