"""What is coming up: recurring schedules, and jobs that were scheduled for later. One of the former can be run now."""

import json
import secrets

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from cnaasjobs.api.caller import who
from cnaasjobs.api.errors import Conflict
from cnaasjobs.db.clock import database_now
from console.access import may, page, typed
from console.frame import said, show
from console.pages.actions import KEY, UNKNOWN, acting, not_done
from console.reads.schedules import SHOWN, Recurring, ahead, one_recurring, recurring
from jobs import feed
from jobs.api.idempotency import Answer, OutcomeUnknown, once
from jobs.errors import JobArgumentError, JobError
from jobs.operating import again
from jobs.operating.again import MadeMeanwhile
from jobs.operating.recurring import newest_job, proposed, run
from jobs.search.qualifiers import id_of

SEES = "django_celery_beat.view_periodictask"


@page("jobs.view_job")
def schedules(request: HttpRequest) -> HttpResponse:
    position = feed.position()
    sees_recurring = may(request, SEES)
    rules, jobs = recurring() if sees_recurring else [], list(ahead()[: SHOWN + 1])
    context = {
        "now": database_now(),
        "sees_recurring": sees_recurring,
        "recurring": rules[:SHOWN],
        "jobs": jobs[:SHOWN],
        "most": SHOWN,
        "more_recurring": len(rules) > SHOWN,
        "more_jobs": len(jobs) > SHOWN,
        "can_edit": may(request, "django_celery_beat.change_periodictask") and bool(request.user.is_staff),
        "can_run": may(request, "jobs.add_job"),
    }
    return show(request, "console/schedules.html", context, after=position)


@page(SEES, post="jobs.add_job")
def run_schedule(request: HttpRequest, schedule_id: int) -> HttpResponse:
    back = reverse("console:schedules")
    found = one_recurring(schedule_id)
    if found is None:
        words = "There is no such recurring schedule. It may have been deleted."
        return said(request, "No such schedule", words, status=404, back=back)
    if not isinstance(found.row, PeriodicTask):
        return said(request, "That can't be done", f"Schedule {found.row.name}: {found.why}.", status=409, back=back)
    if request.method == "POST":
        return _run(request, found, found.row)
    return _form(request, found, found.row)


def _form(request: HttpRequest, found: Recurring, row: PeriodicTask, *, status: int = 200) -> HttpResponse:
    back = reverse("console:schedules")
    try:
        task, named = proposed(row)
        arguments = task.bound(named)
    except JobArgumentError as exc:
        return said(request, "That can't be done", f"Schedule {row.name}: {exc}.", status=409, back=back)
    context = {
        "schedule": found,
        "arguments": json.dumps(arguments, ensure_ascii=False),
        "lock": task.lock,
        "is_live": arguments.get("dry_run") is False,
        "is_dry": arguments.get("dry_run") is True,
        "once": secrets.token_urlsafe(),
        "newest": newest_job(),
        "back": back,
    }
    return show(request, "console/run_schedule.html", context, status=status)


def _run(request: HttpRequest, shown: Recurring, row: PeriodicTask) -> HttpResponse:
    """Run it at most once for each time that the form was shown, however often the browser sends it."""
    newest = id_of(request.POST.get("newest", ""))

    def make() -> Answer:
        again.require_room(who(request))
        return Answer(body={"job_id": run(row, by=acting(request), newest=newest).pk})

    key = typed(request.POST.get("once", ""))[:KEY]
    try:
        found = once(user=who(request), key=key and f"{key} schedule {row.pk}", content=["schedule", row.pk], make=make)
    except OutcomeUnknown:
        return said(request, "The database is away", UNKNOWN, status=503)
    except MadeMeanwhile as exc:
        not_done(request, f"Schedule {row.name} was not run", exc)
        return _form(request, shown, row, status=409)
    except (JobError, Conflict) as exc:
        not_done(request, f"Schedule {row.name} was not run", exc)
        return HttpResponseRedirect(reverse("console:schedules"))
    job_id = found.body["job_id"]
    messages.success(request, f"Scheduled: job {job_id}, of schedule {row.name}.")
    return HttpResponseRedirect(reverse("console:job", args=[job_id]))
