"""Reading the jobs that a search finds, newest first.

Text has no index, which would slow down every job. So ids are searched in windows until there are enough or the time is
up; then it says how far it came. In a window the database takes the index of a part that has one, which is instant.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from cnaasjobs.db import scan
from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.search.qualifiers import condition_of, id_of

SECONDS: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Found:
    jobs: list[Job]
    before: int | None  # older ones that match have ids below this
    after: int | None  # newer ones above this
    gave_up: str | None  # why there may be more among those that it had no time for


def search(
    text: str,
    *,
    size: int,
    before: int | None = None,
    after: int | None = None,
    seconds: float = SECONDS,
    now: datetime | None = None,
) -> Found:
    """The newest jobs that a search finds, at most ``size``. A number alone finds that job.

    Args:
        before: only jobs older than the one with this id.
        after: the next jobs that are newer than the one with this id, in place of the newest.
        now: the database's time, if the caller has it.

    Raises:
        SearchError: what was typed cannot be understood.
    """
    found = matching(text, now=now or database_now())
    if id_of(text) is not None:
        return Found(jobs=list(found), before=None, after=None, gave_up=None)
    page = scan.read(found, size=size, before=before, after=after, seconds=seconds)
    return Found(
        jobs=page.rows,
        before=page.before,
        after=page.after,
        gave_up=why(page, seconds) if page.gave_up else None,
    )


def matching(text: str, *, now: datetime) -> QuerySet[Job]:
    """All jobs that a search finds, without the columns that may be long. A number alone finds that job.

    Raises:
        SearchError: what was typed cannot be understood.
    """
    job_id = id_of(text)
    condition = condition_of(text, now=now) if job_id is None else Q(pk=job_id)
    return Job.objects.defer("finished_devices", "start_arguments").filter(condition)


def why(page: scan.Page[Job], seconds: float) -> str:
    """What to tell the person whose search gave up."""
    looked = f"covered only jobs {page.looked_from} to {page.looked_to}"
    more = f"continue below {page.looked_to}, or narrow it, for instance with since:24h or device:…"
    return f"The search took longer than {seconds:g} s and {looked}: {more}"
