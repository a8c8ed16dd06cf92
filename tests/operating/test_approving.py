"""A second person approves a job, or does not: who may, what becomes of it, and that exactly one decision counts."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import Event, subscribe, unsubscribe
from jobs.audit import trail
from jobs.audit.trail import By
from jobs.dispatch import line, scheduling, sending
from jobs.errors import JobError, NotWaitingForApproval
from jobs.lifecycle import approval
from jobs.models import AuditEntry, Job, JobApproval, JobMilestone
from jobs.operating import aborting, approving
from jobs.run import Refused
from jobs.states import Status
from jobs.task import job as make_job
from jobs.testing import exception_of, perform
from jobs.upkeep import approvals, lines
from jobs.upkeep.approvals import end_unapproved
from jobs.upkeep.republish import Republish
from locks import service as locks
from tests import fake_jobs
from tests.factory import claim, hold_lock, job_in
from tests.operating.people import by, guarded, user
from tests.services import PostgreSQL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


# --- what a waiting one is --------------------------------------------------------------------------------------------


def test_nothing_starts_a_job_before_it_is_approved() -> None:
    job = guarded()
    assert (job.status, job.unapproved, job.parked, job.dispatched_at) == (Status.SCHEDULED, True, True, None)
    assert sending.seconds_to_next_due() is None
    assert sending.dispatch_due() == 0
    assert sending.redispatch([job.pk]) == 0
    assert (lines.wake_first(), lines.end_overdue()) == (0, 0)
    republish = Republish()
    assert republish.step() == 0
    republish.close()
    other = scheduling.schedule(fake_jobs.with_lock, {})
    assert perform(other).status == Status.FINISHED  # nobody waits behind it
    assert lines.wake_first() == 0  # its lock has a row by now, and is free
    assert line.names() == []
    answer = claim(job)  # a stray message; its lock is free
    assert isinstance(answer, Refused)
    assert answer.reason == "it waits for approval"
    job.refresh_from_db()
    assert (job.status, job.unapproved, job.attempt) == (Status.SCHEDULED, True, 0)
    assert (job.parked, job.dispatched_at, job.waiting_since) == (True, None, None)


@pytest.mark.parametrize("decide", [approving.approve, approving.reject])
def test_a_decision_that_can_t_be_written_down_is_not_taken(
    decide: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OperationalError("no space left on device")

    job, bob = guarded(user("ann")), by(user("bob"))
    monkeypatch.setattr(trail, "add", full)
    with pytest.raises(OperationalError):
        decide(job.pk, by=bob)
    job.refresh_from_db()
    assert (job.status, job.unapproved) == (Status.SCHEDULED, True)
    assert JobApproval.objects.get(job=job).verdict == ""


def test_an_approved_job_waits_like_others_from_then_on() -> None:
    ann, bob = user("ann"), user("bob")
    events: list[Event] = []
    subscribe(events.append)
    try:
        job = guarded(ann)
        Job.objects.filter(pk=job.pk).update(scheduled_time=database_now() - timedelta(hours=5))
        before = database_now()
        approved = approving.approve(job.pk, by=by(bob), comment="looks right")
    finally:
        unsubscribe(events.append)
    assert (approved.status, approved.unapproved, approved.parked) == (Status.SCHEDULED, None, False)
    assert approved.scheduled_time >= before
    assert perform(approved).status == Status.FINISHED
    asked = JobApproval.objects.get()
    assert (asked.verdict, asked.by, asked.comment, asked.why) == ("approved", "bob", "looks right", "it always does")
    entry = AuditEntry.objects.get(action="approved")
    assert (entry.who, entry.origin, entry.job_id, entry.detail) == ("bob", "10.0.0.7", job.pk, "looks right")
    assert JobMilestone.objects.filter(job=job).values_list("milestone", "detail").order_by("id").last() == (
        "approved",
        "by bob: looks right",
    )
    told = [(event.action, event.fields.get("reason") or event.fields.get("by")) for event in events]
    assert ("await_approval", "it always does") in told
    assert ("approve", "bob") in told


def test_an_approved_job_for_later_waits_for_its_time_too() -> None:
    at = database_now() + timedelta(hours=3)
    job = guarded(at=at)
    assert approving.approve(job.pk, by=by(user("bob"))).scheduled_time == at
    assert sending.dispatch_due() == 0


def test_a_job_approved_while_its_lock_is_held_waits_in_line() -> None:
    held = hold_lock("devices", job_in(Status.RUNNING))
    job = approving.approve(guarded().pk, by=by(user("bob")))
    answer = claim(job)
    assert isinstance(answer, Refused)
    assert "lock devices is taken" in answer.reason
    assert line.names() == ["devices"]
    locks.release("devices", holder_id=held.holder_id or 0, fence=held.fence)
    assert lines.wake_first() == 1
    assert perform(job).status == Status.FINISHED


def test_a_job_that_is_rejected_ends() -> None:
    job = approving.reject(guarded().pk, by=by(user("bob")), comment="not tonight")
    exception = exception_of(job)
    assert exception is not None
    assert (job.status, exception["type"], exception["message"]) == (
        Status.EXCEPTION,
        "JobRejected",
        "not tonight (rejected by bob)",
    )
    assert JobApproval.objects.get().verdict == "JobRejected"
    assert AuditEntry.objects.get(action="rejected").detail == "not tonight"


def test_a_job_that_nobody_approves_in_time_ends(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_APPROVAL_SECONDS = 3600
    job, fresh = guarded(), guarded()
    now = database_now()
    JobApproval.objects.filter(pk=job.pk).update(asked_at=now - timedelta(hours=1), expires_at=now)
    with pytest.raises(NotWaitingForApproval):
        approving.approve(job.pk, by=by(user("bob")))
    assert end_unapproved() == 1
    job.refresh_from_db()
    exception = exception_of(job)
    assert exception is not None
    assert (exception["type"], exception["message"]) == ("ApprovalExpired", "nobody approved it within 3600 s")
    fresh.refresh_from_db()
    assert fresh.unapproved
    assert end_unapproved() == 0
    monkeypatch.setattr(approvals, "_BATCH", 1)  # however many were decided before
    JobApproval.objects.filter(pk=fresh.pk).update(expires_at=now + timedelta(microseconds=1))
    assert end_unapproved() == 1


def test_a_job_that_may_need_approval_has_a_lock() -> None:
    with pytest.raises(ValueError, match="must have a lock"):
        make_job(approval=lambda arguments, ending: None)(lambda ctx: None)


# --- exactly one ------------------------------------------------------------------------------------------------------

SHELL = By(who="root", origin="command line", user=None)
DEEDS: dict[str, Callable[[int], object]] = {
    "approve": lambda job_id: approving.approve(job_id, by=SHELL),
    "reject": lambda job_id: approving.reject(job_id, by=SHELL),
    "abort": lambda job_id: aborting.abort(job_id, reason="x", by=SHELL),
    "expire": lambda job_id: _expire(job_id),
}
VERDICTS = {"approve": "approved", "reject": "JobRejected", "abort": "JobAborted", "expire": "ApprovalExpired"}


def _expire(job_id: int) -> int:
    JobApproval.objects.filter(pk=job_id).update(expires_at=database_now())
    return end_unapproved()


@pytest.mark.parametrize("second", [*DEEDS])
@pytest.mark.parametrize("first", [*DEEDS])
def test_the_first_decision_stays(first: str, second: str) -> None:
    job = guarded()
    DEEDS[first](job.pk)
    verdict = JobApproval.objects.get().verdict
    with suppress(JobError):
        DEEDS[second](job.pk)
    asked = JobApproval.objects.get()
    assert asked.verdict == verdict
    assert verdict == VERDICTS[first]
    job.refresh_from_db()
    if first != "approve":
        assert job.exception_type == verdict
    else:
        assert job.exception_type == ("JobAborted" if second == "abort" else None)


@pytest.mark.needs("postgresql")
def test_whether_a_decision_is_in_time_is_asked_when_the_job_is_at_hand(postgresql: PostgreSQL) -> None:
    """The time ends while somebody else holds its row."""
    job = guarded()

    def approve() -> bool:
        try:
            return approval.approve(job.pk, by="ann")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            Job.objects.filter(pk=job.pk).update(comment="held")
            approved = elsewhere.submit(approve)
            postgresql.until_blocked()
            JobApproval.objects.update(expires_at=database_now())
        assert not approved.result(20)
    job.refresh_from_db()
    assert job.unapproved


@pytest.mark.parametrize("other", [*DEEDS])
def test_of_two_decisions_at_once_exactly_one_counts(other: str) -> None:
    job, gate, fell = guarded(), threading.Barrier(2), []

    def decide(what: str) -> None:
        try:
            gate.wait()
            DEEDS[what](job.pk)
        except JobError as exc:
            fell.append(exc)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=decide, args=(what,)) for what in ("approve", other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.refresh_from_db()
    verdict = JobApproval.objects.get().verdict
    assert verdict in VERDICTS.values()
    assert job.unapproved is None
    if verdict == "approved":  # an abort may come after it, and ends it like any other
        assert job.exception_type in {None, "JobAborted"}
        assert AuditEntry.objects.filter(action="approved").count() == 1
    else:
        assert job.exception_type == verdict
        assert not AuditEntry.objects.filter(action="approved").exists()
    if other == "approve":
        assert len(fell) == 1
