"""What is coming up: recurring schedules, and jobs that were scheduled for later."""

from django.http import HttpRequest, HttpResponse

from cnaasjobs.db.clock import database_now
from console.access import may, page
from console.frame import show
from console.reads.schedules import SHOWN, ahead, recurring
from jobs import feed


@page("jobs.view_job")
def schedules(request: HttpRequest) -> HttpResponse:
    position = feed.position()
    sees_recurring = may(request, "django_celery_beat.view_periodictask")
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
    }
    return show(request, "console/schedules.html", context, after=position)
