"""Aborting a job, because a person asks for it."""

from django.db import transaction

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.rights.decide import ABORT, require_for


def abort(job_id: int, *, reason: str, by: trail.By) -> Job:
    """End a waiting job at once; tell a running one to stop at its next safe point.

    Raises:
        JobNotFound, JobNotAbortable, NotAllowed, DevicesUnknown.
    """
    if by.user is not None:
        require_for(by.user, ABORT, job_id)
    with transaction.atomic():
        job = transitions.abort(job_id, reason=reason, by=by.who)
        trail.add(Deed.ABORTED, who=by.who, origin=by.origin, job_id=job_id, detail=reason)
    return job
