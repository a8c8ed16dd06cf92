"""Approving and rejecting a job that waits for a second person.

The second person must not be behind the job: not its author, not the maker of the author's token, not anybody behind
the job that started it. Nor may one of these have made the second person's token, or go by the same name, whichever
provider the name comes from.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from knox.models import AuthToken

from cnaasjobs.api.caller import plain_name
from cnaasjobs.conf import conf
from jobs import follow_ups
from jobs.approval_models import APPROVED
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import behind
from jobs.end_reasons import EndReason
from jobs.errors import CannotApprove, JobNotFound, NotAllowed, NotWaitingForApproval
from jobs.lifecycle import approval
from jobs.models import Job, JobApproval, TokenMaker
from jobs.rights.decide import APPROVE, require_for

MAX_COMMENT = 255
_IN_WORDS: Final[Mapping[str, str]] = {APPROVED: "approved", EndReason.JOB_REJECTED.value: "rejected"}


def approve(job_id: int, *, by: trail.By, comment: str = "") -> Job:
    """Let it start when it is due.

    Raises:
        JobNotFound, NotWaitingForApproval, NotAllowed, DevicesUnknown, CannotApprove.
    """
    return _decide(job_id, by, comment, Deed.APPROVED)


def reject(job_id: int, *, by: trail.By, comment: str = "") -> Job:
    """End it as JobRejected. Whoever had a part in scheduling it may do this too.

    Raises:
        JobNotFound, NotWaitingForApproval, NotAllowed, DevicesUnknown.
    """
    return _decide(job_id, by, comment, Deed.REJECTED)


def obstacle(job: Job) -> str | None:
    """Why it can only be rejected: something that its arguments name is gone. None if it may be approved."""
    try:
        follow_ups.of(job.task_name).require_there(json.loads(job.start_arguments))
    except follow_ups.CannotFollow as exc:
        return str(exc)
    return None


def is_own(job: Job, by: trail.By) -> bool:
    """Whether this person is behind the job, and so can't be the second one. Raises NotAllowed."""
    first, second = behind.of(job), _behind(by)
    if not first.isdisjoint(second):
        return True
    return not _names(job.scheduled_by or "", first).isdisjoint(_names(by.who, second))


def keep_maker(job: Job, by: trail.By) -> None:
    """Remember who made the token with which a job is started. Call it in the transaction that schedules the job.

    If no job needs approval here, nobody will ask, and it costs no statement.

    Raises:
        NotAllowed: the token was deleted meanwhile.
    """
    if (job.unapproved or conf.approval_score is not None) and (maker := _maker_of(by.token)) is not None:
        behind.add(job, maker)


def _decide(job_id: int, by: trail.By, comment: str, deed: Deed) -> Job:
    if by.user is not None:
        require_for(by.user, APPROVE, job_id)
    if deed is Deed.APPROVED:
        _require_there(job_id)  # before the transaction: it may read an inventory
    comment = comment.strip()[:MAX_COMMENT]
    with transaction.atomic():
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise JobNotFound(job_id)
        if deed is Deed.APPROVED and job.unapproved and is_own(job, by):
            raise NotAllowed(
                f"Missing permission {APPROVE} for job {job_id}, in which you had a part: it waits for another person"
            )
        decide = approval.approve if deed is Deed.APPROVED else approval.reject
        if not decide(job_id, by=by.who, comment=comment):
            status = Job.objects.values_list("status", flat=True).get(pk=job_id)
            raise NotWaitingForApproval(job_id, status, _decision_on(job_id))
        trail.add(deed, who=by.who, origin=by.origin, job_id=job_id, detail=comment)
    job.refresh_from_db()
    return job


def _decision_on(job_id: int) -> str:
    asked = JobApproval.objects.filter(pk=job_id).first()
    word = _IN_WORDS.get(asked.verdict) if asked else None
    return f"{asked.by} {word} it" if asked and word else ""


def _require_there(job_id: int) -> None:
    job = Job.objects.only("task_name", "start_arguments").filter(pk=job_id, unapproved=True).first()
    if job is not None and (why := obstacle(job)):
        raise CannotApprove(f"Job id {job_id} can only be rejected: {why}")


def _names(name: str, users: Collection[int]) -> set[str]:
    known = User.objects.filter(pk__in=users).values_list("username", flat=True) if users else ()
    return {plain_name(each) for each in (name, *known)}


def _behind(by: trail.By) -> set[int]:
    """The ids of users. People without a row in the database are not among them."""
    found = {getattr(by.user, "pk", None), _maker_of(by.token)}
    return {each for each in found if each is not None}


def _maker_of(token: str | None) -> int | None:
    """Raises NotAllowed: the token was deleted after it let its user in, and the record of its maker with it."""
    if token is None:
        return None
    maker = TokenMaker.objects.filter(pk=token).values_list("maker_id", flat=True).first()
    # Asked second: as long as the token exists, so does the record of its maker.
    if maker is None and not AuthToken.objects.filter(pk=token).exists():
        raise NotAllowed("The token was deleted meanwhile")
    return maker
