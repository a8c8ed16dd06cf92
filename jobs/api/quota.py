"""How many jobs of one user may wait at once: a script that runs wild fills nobody else's line."""

from cnaasjobs.api.errors import TooManyRequests
from cnaasjobs.conf import conf
from jobs.models import Job
from jobs.states import Status


def require_room(user: str) -> None:
    """Call it before a request of this user's schedules a job.

    Raises:
        TooManyRequests: as many as may wait do so already.
    """
    waiting = Job.objects.filter(status=Status.SCHEDULED.value, scheduled_by=user)[: conf.waiting_per_user].count()
    if waiting >= conf.waiting_per_user:
        words = f"{waiting} jobs of {user} wait already, as many as may (CNAASJOBS_WAITING_PER_USER)"
        raise TooManyRequests(words, headers={"Retry-After": "60"})
