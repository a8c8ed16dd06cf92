"""What the page of one job shows. The page stays small and readable, however much a body left behind."""

import json
from collections.abc import Iterator
from typing import Any, Final

from django.db.models.functions import Length, Substr
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cnaasjobs.conf import conf
from jobs.admin_pages import results, waiting
from jobs.admin_pages.toolkit.long_text import cut, pretty
from jobs.admin_pages.toolkit.show import NOTHING, job_link, moment, span, status_badge, text
from jobs.models import Job, JobOutcome
from jobs.sql import store
from jobs.states import TERMINAL, Status
from jobs.waiting.progress import look_by, progress_of

ARGUMENTS_SHOWN: Final = 20_000  # characters
TRACEBACK_SHOWN: Final = 100_000
RESULT_PARSED: Final = 16_000_000
DEVICES_SHOWN: Final = 500

Fact = tuple[str, SafeString | str]


def context(job: Job) -> dict[str, Any]:
    """For ``admin/jobs/job_page.html``. The job carries ``asked_at``, the database's time."""
    outcome = _outcome(job) if job.status in TERMINAL else None
    arguments = pretty(job.start_arguments, limit=ARGUMENTS_SHOWN)
    here = {
        "job": job,
        "result_url": reverse("admin:jobs_job_result", args=[job.pk]),
        "api_url": f"/api/v1.0/job/{job.pk}",
    }
    how_far = progress_of([job.pk]).get(job.pk)
    return here | {
        "badge": status_badge(job, look_by(job, how_far)),
        "failed": how_far and how_far.failed,
        "facts": [fact for fact in _facts(job) if fact[1] not in (None, NOTHING)],
        "waits": waiting.reasons(job) if job.status == Status.SCHEDULED else [],
        "arguments": arguments,
        "progress": _progress(job),
        "exception": _exception(outcome),
        "result": _result(outcome, job.task_name, here),
        "api_is_open": not conf.require_token,  # a browser sends no token
        "audit_url": f"{reverse('admin:jobs_auditentry_changelist')}?q={job.pk}",
    }


def whole_result(job_id: int) -> HttpResponse:
    """The stored JSON text, as it is."""
    found = store().outcomes([job_id])
    stored = found[0].result if found else None
    if stored is None:
        raise Http404(f"job {job_id} has no result")
    name = f'inline; filename="job-{job_id}-result.json"'
    return HttpResponse(stored, content_type="application/json", headers={"Content-Disposition": name})


def _facts(job: Job) -> Iterator[Fact]:
    yield "Scheduled for", _moment(job.scheduled_time)
    yield "Started", _moment(job.start_time)
    yield "Finished", _moment(job.finish_time)
    end = job.finish_time or (job.asked_at if job.status == Status.RUNNING else None)  # type: ignore[attr-defined]
    if job.start_time and end:
        yield ("Duration" if job.finish_time else "Running for"), span(end - job.start_time)
    yield "Scheduled by", text(job.scheduled_by)
    yield "Comment", text(job.comment)
    yield "Ticket", text(job.ticket_ref)
    yield "Change score", text(job.change_score)
    yield "Told to stop", text(job.abort_reason)
    yield "Next job", job_link(job.next_job_id)
    yield "Lock", text(job.lock_name)
    yield "Fencing token", text(job.fence)
    yield "Worker", text(job.worker)
    yield "Queue", text(job.queue) + (f", priority {job.priority}" if job.priority else "")
    yield "Task", format_html("<code>{}</code>", job.task_name)
    if job.attempt > 1 or job.retries:
        yield "Attempts", f"{job.attempt} ({job.retries} by its own retry)"
    if job.rerun_if_lost:
        yield "If its worker is lost", "runs again"


def _moment(when: Any) -> SafeString | str:
    return NOTHING if when is None else format_html("{} UTC", moment(when))


def _outcome(job: Job) -> JobOutcome | None:
    """The outcome, its texts cut to what the page shows."""
    rows = JobOutcome.objects.filter(pk=job.pk).annotate(
        size=Length("result"), result_start=Substr("result", 1, RESULT_PARSED), exception_text=Substr("exception", 1)
    )
    outcome: Any = rows.defer("result", "exception").first()
    if outcome is not None and outcome.devices_bytes is not None:
        made = next((found.result for found in store().outcomes([job.pk])), None)
        if made is None:  # deleted meanwhile
            return None
        outcome.size, outcome.result_start = len(made), made[:RESULT_PARSED]
    return outcome  # type: ignore[no-any-return]


def _exception(outcome: Any) -> dict[str, Any] | None:
    if outcome is None or outcome.exception_text is None:
        return None
    stored: dict[str, Any] = json.loads(outcome.exception_text)
    return {**stored, "traceback": cut(str(stored.get("traceback") or ""), TRACEBACK_SHOWN)}


def _result(outcome: Any, task_name: str, around: dict[str, Any]) -> results.ShownResult | None:
    if outcome is None or outcome.result_start is None:
        return None
    return results.shown(outcome.result_start, size=outcome.size, task_name=task_name, around=around)


def _progress(job: Job) -> dict[str, Any] | None:
    """How many devices are done, and of how many where the arguments name them."""
    if job.finished_devices is None:
        return None
    finished = json.loads(job.finished_devices)
    named = json.loads(job.start_arguments).get("hostnames")
    total = len(named) if isinstance(named, list) else None
    if not finished and total is None:
        return None
    return {
        "finished": finished[:DEVICES_SHOWN],
        "count": len(finished),
        "total": total,
        "more": max(0, len(finished) - DEVICES_SHOWN),
        "is_running": job.status == Status.RUNNING,
    }
