"""Actions on recurring schedules from their list: run now, enable, disable.

Every action that starts a job requires the permission of that job.
"""

import secrets
from typing import Final

from django import forms
from django.contrib.admin import helpers
from django.db import transaction
from django.http import HttpRequest
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from cnaasjobs.api.caller import origin, who
from cnaasjobs.api.permissions import is_limited
from jobs.admin_pages.toolkit import registered
from jobs.admin_pages.toolkit.listing import as_id
from jobs.api.idempotency import Answer, once
from jobs.audit import trail
from jobs.beat.fire import arguments_of
from jobs.deeds import Deed
from jobs.errors import JobArgumentError, NotAllowed
from jobs.operating import recurring
from jobs.rights.decide import require_start
from jobs.rights.selected import DevicesUnknown
from jobs.task import JobTask

_KEY: Final = 64  # what a form gives is shorter


class ActionForm(helpers.ActionForm):
    """Carries a value that is new each time the list is shown, so that a form that is sent twice schedules once, and
    the newest job, so that of two people who are shown the same one, only one runs it without knowing of the other.
    """

    once = forms.CharField(required=False, initial=secrets.token_urlsafe, widget=forms.HiddenInput)
    newest = forms.CharField(required=False, initial=recurring.newest_job, widget=forms.HiddenInput)


def run(request: HttpRequest, row: PeriodicTask) -> int:
    """Schedule one job of this schedule now, at most once for each time that the form was shown; answers its id.

    The schedule itself does not change.

    Raises:
        JobArgumentError, NotAllowed, DevicesUnknown, MadeMeanwhile, and what ``once`` raises.
    """
    recurring.task_of(row.task)
    refuse_stranger(request, row)

    by = trail.By(who=who(request), origin=origin(request), user=request.user)
    newest = as_id(request.POST.get("newest", ""))

    def make() -> Answer:
        return Answer(body={"job_id": recurring.run(row, by=by, newest=newest).pk})

    shown = request.POST.get("once", "")[:_KEY]
    key = shown and f"{shown} schedule {row.pk}"
    found: int = once(user=who(request), key=key, content=["schedule", row.pk], make=make).body["job_id"]
    return found


def switch(request: HttpRequest, row: PeriodicTask, *, enabled: bool) -> None:
    """Enable it, which requires the permission to start its job, or disable it. Its owner stays.

    Raises JobArgumentError. By an update, because a broken schedule can't be saved, and can be disabled.
    """
    if enabled:
        refuse_stranger(request, row)
    values = {"enabled": True} if enabled else {"enabled": False, "last_run_at": None}
    detail = f"schedule {row.name} of {row.task}: {'enabled' if enabled else 'disabled'}"
    with transaction.atomic():
        PeriodicTask.objects.filter(pk=row.pk).update(**values)
        PeriodicTasks.update_changed()
        trail.add(Deed.CHANGED, who=who(request), origin=origin(request), detail=detail)


def refuse_stranger(request: HttpRequest, row: PeriodicTask) -> None:
    """Raises JobArgumentError where this user may not start the schedule's job."""
    permission, task = registered.permission_of(row.task), registered.tasks().get(row.task)
    if not request.user.has_perm(permission):
        raise JobArgumentError(f"you may not start it yourself: it needs the permission {permission}")
    if isinstance(task, JobTask) and is_limited(request.user, permission):
        args, kwargs = arguments_of(row)
        try:
            require_start(request.user, task, task.named(args, kwargs))
        except (NotAllowed, DevicesUnknown) as exc:
            raise JobArgumentError(f"you may not start it yourself: {exc}") from exc
