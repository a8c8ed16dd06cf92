"""Who else had a part in a job, besides its author: whoever made the author's token, and everybody who had one in the
job that started it.

None of them can be the second person who approves it. They are kept for every job, because one that needs no approval
may start one that does.
"""

from collections.abc import Sequence

from jobs.models import Job, JobBehind


def inherit(rows: Sequence[Job], *, of_id: int) -> None:
    """Everybody behind job ``of_id`` is behind what it starts. Call it in the transaction that inserts ``rows``."""
    found = Job.objects.filter(pk=of_id).values_list("author_id", "behind__user_id")
    people = {user_id for pair in found for user_id in pair if user_id is not None}
    JobBehind.objects.bulk_create(
        [JobBehind(job=row, user_id=user_id) for row in rows for user_id in sorted(people - {row.author_id})]
    )


def add(job: Job, user_id: int) -> None:
    """This user is behind the job too. Call it in the transaction that schedules the job."""
    if user_id != job.author_id:
        JobBehind.objects.create(job=job, user_id=user_id)


def of(job: Job) -> set[int]:
    """The ids of its author and of everybody else behind it."""
    found = {job.author_id, *JobBehind.objects.filter(job=job).values_list("user_id", flat=True)}
    return {user_id for user_id in found if user_id is not None}
