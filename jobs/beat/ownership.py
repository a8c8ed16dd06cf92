"""The owner of a recurring schedule, and whether they may still start its job."""

from typing import Final

from celery import current_app
from django_celery_beat.models import PeriodicTask

from cnaasjobs.conf import conf
from jobs.errors import JobArgumentError
from jobs.models import ScheduleOwner
from jobs.task import JobTask

FROM_SETTINGS: Final = "the settings"
NOBODY: Final = "nobody"


def owner_of(row: PeriodicTask, task: JobTask) -> str:
    """The name of the schedule's owner, who may start this job.

    A schedule from CELERY_BEAT_SCHEDULE belongs to whoever runs the installation. Where no token is required
    (development), no owner is either.

    Raises:
        JobArgumentError: it has no owner, or the owner may not start this job any more.
    """
    owned = ScheduleOwner.objects.select_related("user").filter(schedule_id=row.pk).first()
    if owned is None and row.name in current_app.conf.beat_schedule:  # the user who saved it in the admin owns it
        return FROM_SETTINGS
    if not conf.require_token:
        return NOBODY if owned is None else owned.name
    if owned is None:
        raise JobArgumentError("it has no owner: a user who may start this job must save it again")
    if owned.user is None:
        raise JobArgumentError(f"its owner {owned.name} does not exist any more")
    if not owned.user.is_active or not owned.user.has_perm(task.permission):
        raise JobArgumentError(f"its owner {owned.name} may not start it any more (permission {task.permission})")
    return owned.name
