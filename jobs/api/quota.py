"""How many jobs of one user may wait at once, so that a runaway script does not block everybody else."""

from cnaasjobs.api.errors import TooManyRequests
from cnaasjobs.conf import conf
from jobs.models import Job
from jobs.states import Status


def require_room(user: str) -> None:
    """Call it before a request of this user schedules a job.

    Raises:
        TooManyRequests: as many jobs as allowed are waiting already.
    """
    waiting = Job.objects.filter(status=Status.SCHEDULED.value, scheduled_by=user)[: conf.waiting_per_user].count()
    if waiting >= conf.waiting_per_user:
        words = f"{waiting} jobs of {user} are waiting already, which is the limit (CNAASJOBS_WAITING_PER_USER)"
        raise TooManyRequests(words, headers={"Retry-After": "60"})
