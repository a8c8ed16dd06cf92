"""How many jobs of one user may wait at once, for the API."""

from cnaasjobs.api.errors import TooManyRequests
from jobs.operating import again


def require_room(user: str) -> None:
    """Call it before a request of this user schedules a job.

    Raises:
        TooManyRequests: as many jobs as allowed are waiting already.
    """
    try:
        again.require_room(user)
    except again.NoRoom as exc:
        raise TooManyRequests(str(exc), headers={"Retry-After": "60"}) from exc
