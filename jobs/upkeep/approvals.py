"""Ends jobs that nobody approved in time."""

from django.db.models import QuerySet

from cnaasjobs.db.clock import DatabaseNow
from jobs.background.one_by_one import OneByOne
from jobs.lifecycle import approval
from jobs.models import JobApproval

_BATCH = 500


def end_unapproved() -> int:
    """Returns how many jobs were ended."""
    return _end(unapproved()[:_BATCH])


def unapproved() -> QuerySet[JobApproval]:
    return JobApproval.objects.filter(verdict="", expires_at__lte=DatabaseNow()).order_by("expires_at")


def _expire(asked: JobApproval) -> int:
    return approval.expire(asked.pk, seconds=(asked.expires_at - asked.asked_at).total_seconds())


_end = OneByOne("ending a job that nobody approved", _expire, key=lambda asked: asked.pk)
