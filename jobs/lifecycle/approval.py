"""What a second person decides about a job that waits for approval. Of all that may end this wait, exactly one does."""

from typing import Final

from django.db import transaction
from django.db.models import Q

from cnaasjobs.db.clock import database_now
from cnaasjobs.secrecy import mask
from jobs.actions import record_transition
from jobs.approval_models import APPROVED
from jobs.dispatch import sending
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import milestones, transitions
from jobs.models import Job, JobApproval
from jobs.states import Milestone, Verb

_UNAPPROVED: Final = Q(unapproved=True)


def approve(job_id: int, *, by: str, comment: str = "") -> bool:
    """SCHEDULED → SCHEDULED: from now on it waits for its time, its lock and a slot, like others.

    It falls due now, if it would have been due before: it did not wait for a slot meanwhile, and takes nobody's place.
    False, with nothing changed, if it does not wait for approval any more, or the time for it is over.
    """
    comment = mask(comment)
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=job_id, unapproved=True).first()
        now = database_now()
        in_time = JobApproval.objects.filter(pk=job_id, verdict="", expires_at__gt=now)
        if job is None or not in_time.exists():
            return False
        due = max(job.scheduled_time, now)
        waiting = Job.objects.filter(pk=job_id, unapproved=True)
        if not waiting.transit(Verb.APPROVE, unapproved=None, parked=False, scheduled_time=due):
            return False
        milestones.decided(job_id, APPROVED, by=by, comment=comment)
        milestones.add(job_id, Milestone.APPROVED, f"by {by}{f': {comment}' if comment else ''}")
        sending.announce()
        transaction.on_commit(lambda: record_transition(Verb.APPROVE, job_id, by=by), robust=True)
    return True


def reject(job_id: int, *, by: str, comment: str = "") -> bool:
    """SCHEDULED → EXCEPTION. False, with nothing changed, if it does not wait for approval any more."""
    text = f"{comment} (rejected by {by})" if comment else f"(rejected by {by})"
    failure = Failure(type=EndReason.JOB_REJECTED, message=text)
    return transitions.cancel(job_id, failure, only=_UNAPPROVED, by=by, comment=mask(comment))


def expire(job_id: int, *, seconds: float) -> bool:
    """SCHEDULED → EXCEPTION: nobody approved it in time."""
    failure = Failure(type=EndReason.APPROVAL_EXPIRED, message=f"nobody approved it within {seconds:g} s")
    return transitions.cancel(job_id, failure, only=_UNAPPROVED)
