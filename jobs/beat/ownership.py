"""The owner of a recurring schedule, and whether they may still start its job."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from celery import current_app
from django_celery_beat.models import PeriodicTask

from cnaasjobs.conf import conf
from jobs.errors import JobArgumentError, NotAllowed
from jobs.models import ScheduleOwner
from jobs.rights.decide import require_start
from jobs.rights.selected import DevicesUnknown
from jobs.task import JobTask

FROM_SETTINGS: Final = "the settings"
NOBODY: Final = "nobody"


class Owner(NamedTuple):
    name: str
    author_id: int | None  # of the schedule's jobs; None where no rights are asked for


def owner_of(row: PeriodicTask, task: JobTask, kwargs: Mapping[str, Any]) -> Owner:
    """The schedule's owner, who may start this job with these arguments.

    A schedule from CELERY_BEAT_SCHEDULE belongs to whoever runs the installation. Where no token is required
    (development), no owner is either.

    Raises:
        JobArgumentError: it has no owner, or the owner may not start this job any more.
    """
    owned = ScheduleOwner.objects.select_related("user").filter(schedule_id=row.pk).first()
    if owned is None and row.name in current_app.conf.beat_schedule:  # the user who saved it in the admin owns it
        return Owner(FROM_SETTINGS, None)
    if not conf.require_token:
        return Owner(NOBODY if owned is None else owned.name, None)
    if owned is None:
        raise JobArgumentError("it has no owner: a user who may start this job must save it again")
    if owned.user is None:
        raise JobArgumentError(f"its owner {owned.name} no longer exists")
    try:
        require_start(owned.user, task, kwargs)
    except (NotAllowed, DevicesUnknown) as exc:
        raise JobArgumentError(f"its owner {owned.name} may no longer start it: {exc}") from exc
    return Owner(owned.name, owned.user.pk)
