"""Approving and rejecting a job that waits for a second person.

The second person must not be behind the job: not its author, nor the person who made the author's token, nor the one
whose job started it. None of these may have made the second person's token either.
"""

from django.db import transaction

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.errors import JobNotFound, NotAllowed, NotWaitingForApproval
from jobs.lifecycle import approval
from jobs.models import Job, JobApproval, TokenMaker
from jobs.rights.decide import APPROVE, require_for

MAX_COMMENT = 255


def approve(job_id: int, *, by: trail.By, comment: str = "") -> Job:
    """Let it start when it is due.

    Raises:
        JobNotFound, NotWaitingForApproval, NotAllowed, DevicesUnknown.
    """
    return _decide(job_id, by, comment, Deed.APPROVED)


def reject(job_id: int, *, by: trail.By, comment: str = "") -> Job:
    """End it as JobRejected. Those who are behind it may do this too.

    Raises:
        JobNotFound, NotWaitingForApproval, NotAllowed, DevicesUnknown.
    """
    return _decide(job_id, by, comment, Deed.REJECTED)


def is_own(job: Job, by: trail.By) -> bool:
    """Whether this person is behind the job, and so can't be the second one."""
    if by.who == job.scheduled_by:
        return True
    acts_for = JobApproval.objects.filter(pk=job.pk).values_list("acts_for_id", flat=True).first()
    return not {job.author_id, acts_for}.isdisjoint(_behind(by))


def acts_for(job: Job, by: trail.By) -> None:
    """Remember who made the token with which a job was started that needs approval. Call it in the transaction that
    schedules the job.
    """
    if job.unapproved and (maker := _maker_of(by.token)) is not None:
        JobApproval.objects.filter(pk=job.pk).update(acts_for_id=maker)


def _decide(job_id: int, by: trail.By, comment: str, deed: Deed) -> Job:
    if by.user is not None:
        require_for(by.user, APPROVE, job_id)
    comment = comment.strip()[:MAX_COMMENT]
    with transaction.atomic():
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise JobNotFound(job_id)
        if deed is Deed.APPROVED and job.unapproved and is_own(job, by):
            raise NotAllowed(f"Missing permission {APPROVE} for job {job_id} of one's own: it waits for another person")
        decide = approval.approve if deed is Deed.APPROVED else approval.reject
        if not decide(job_id, by=by.who, comment=comment):
            raise NotWaitingForApproval(job_id, Job.objects.values_list("status", flat=True).get(pk=job_id))
        trail.add(deed, who=by.who, origin=by.origin, job_id=job_id, detail=comment)
    job.refresh_from_db()
    return job


def _behind(by: trail.By) -> set[int]:
    """The ids of users. People without a row in the database are not among them."""
    found = {getattr(by.user, "pk", None), _maker_of(by.token)}
    return {each for each in found if each is not None}


def _maker_of(token: str | None) -> int | None:
    if token is None:
        return None
    return TokenMaker.objects.filter(pk=token).values_list("maker_id", flat=True).first()
