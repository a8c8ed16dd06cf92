"""The tables, and what a claim reads from a job's row."""

from typing import Any, Final

from jobs.models import (
    Fleet,
    Job,
    JobApproval,
    JobBehind,
    JobBlock,
    JobDevice,
    JobLink,
    JobLog,
    JobMilestone,
    JobOutcome,
    Participant,
    Watermark,
)
from jobs.run import Run
from jobs.sql.position import Kind
from jobs.sql.signature import Claimant
from locks.models import Lock

JOB: Final = Job._meta.db_table
OUTCOME: Final = JobOutcome._meta.db_table
DEVICE: Final = JobDevice._meta.db_table
PARTICIPANT: Final = Participant._meta.db_table
FLEET: Final = Fleet._meta.db_table
LOG: Final = JobLog._meta.db_table
MILESTONE: Final = JobMilestone._meta.db_table
LINK: Final = JobLink._meta.db_table
APPROVAL: Final = JobApproval._meta.db_table
BEHIND: Final = JobBehind._meta.db_table
# Deleted with their job.
OF_A_JOB: Final = (APPROVAL, BEHIND, OUTCOME, DEVICE, PARTICIPANT, FLEET, LOG, MILESTONE, LINK)
LOCK: Final = Lock._meta.db_table
BLOCK: Final = JobBlock._meta.db_table
WATERMARK: Final = Watermark._meta.db_table
NUMBERED: Final = {Kind.JOB: JOB, Kind.LOCK: LOCK, Kind.LOG: LOG}  # by the kind of event that tells of their changes

STARTED: Final = (
    "attempt",
    "retries",
    "start_arguments",
    "lock_name",
    "fence",
    "scheduled_by",
    "comment",
    "ticket_ref",
    "author_id",
    "start_time",
)


def run_of(job_id: int, by: Claimant, row: tuple[Any, ...] | None) -> Run | None:
    """The run that a claim began, from the columns ``STARTED``; None if it returned no row."""
    if row is None:
        return None
    return Run(job_id=job_id, run_token=by.run_token, worker=by.worker, **dict(zip(STARTED, row, strict=True)))
