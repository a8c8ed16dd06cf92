"""What the lifecycle's test knows of each job, beside the database."""

from dataclasses import dataclass
from uuid import UUID

from jobs.states import Status
from tests import fake_jobs

TASKS = {
    "plain": fake_jobs.nothing,
    "locked": fake_jobs.with_lock,
    "rerun": fake_jobs.rerun_if_lost,
    "guarded": fake_jobs.guarded,
}
WITH_LOCK = ("locked", "guarded")


@dataclass
class Model:
    """What one job must look like."""

    status: Status
    kind: str
    due: bool
    unapproved: bool = False
    token: UUID | None = None
    attempt: int = 0
    abort: bool = False
    holds: bool = False
    end: str | None = None
