"""What becomes of a job that a second person decides on, or that upkeep ends when nobody did."""

from cnaasjobs.db.clock import database_now
from jobs.dispatch import sending
from jobs.lifecycle import approval
from jobs.models import JobApproval
from jobs.upkeep import lines
from jobs.upkeep.approvals import end_unapproved

VERDICTS = ("approve", "reject", "expire", "too late")


def decide(job_id: int, verdict: str, *, waits: bool) -> str | None:
    """Do it, whether the job waits for approval or not. Returns why it ended, if it did."""
    match verdict:
        case "approve":
            assert approval.approve(job_id, by="me") is waits
            return None
        case "reject":
            assert approval.reject(job_id, by="me") is waits
            return "JobRejected" if waits else None
        case "expire":
            assert approval.expire(job_id, seconds=60) is waits
        case _:
            JobApproval.objects.filter(pk=job_id).update(expires_at=database_now())
            assert not approval.approve(job_id, by="me")
            end_unapproved()
    return "ApprovalExpired" if waits else None


def pass_over(job_id: int) -> None:
    """What Beat and upkeep do all the time: send what is due, wake the first in line, send lost messages again."""
    sending.dispatch_due()
    lines.wake_first()
    lines.end_overdue()
    sending.redispatch([job_id])
