"""A job whose POST was answered 503 is withdrawn, with everything that was stored for it."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connections, transaction
from django.utils import timezone

from cnaasjobs.db import session
from jobs.api.idempotency import Answer, once
from jobs.api.withdraw import Withdrawal, withdraw, withdraw_later
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.lifecycle import transitions
from jobs.models import AuditEntry, IdempotencyKey, Job
from tests.factory import claimed, job_row
from tests.services import PostgreSQL
from tests.waiting import wait_until

KEY = ("eva", "k")
NO_SUCH_PROCESS = 2**22 + 1


def scheduled() -> Job:
    """A job that was posted with an Idempotency-Key."""

    def make() -> Answer:
        job = job_row("SCHEDULED")
        trail.add(Deed.SCHEDULED, who="eva", origin="127.0.0.1", job_id=job.pk)
        return Answer(body={"job_id": job.pk})

    return Job.objects.get(pk=once(user=KEY[0], key=KEY[1], content={}, make=make).body["job_id"])


@pytest.mark.django_db
def test_a_waiting_job_goes_with_its_key_and_the_audit_trail_says_so() -> None:
    other = job_row("SCHEDULED")
    for user, key in (("adam", "k"), ("eva", "another"), ("zoe", "k")):
        once(user=user, key=key, content={}, make=lambda: Answer(body={"job_id": other.pk}))
    assert withdraw(scheduled().pk, key=KEY) is Withdrawal.WITHDRAWN
    assert Job.objects.get() == other
    assert set(IdempotencyKey.objects.values_list("user", "key")) == {("adam", "k"), ("eva", "another"), ("zoe", "k")}
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == ["scheduled", "withdrawn"]


@pytest.mark.django_db
def test_a_job_stays_if_its_key_was_used_again_meanwhile() -> None:
    """The client was told of it by then."""
    job = scheduled()
    assert scheduled() == job
    assert withdraw(job.pk, key=KEY) is Withdrawal.TOLD
    assert Job.objects.get() == job
    assert scheduled() == job


@pytest.mark.django_db
def test_a_job_that_has_started_and_of_which_nobody_can_be_told_is_told_to_stop() -> None:
    job = job_row("RUNNING")
    assert withdraw(job.pk) is Withdrawal.STOPPED
    job.refresh_from_db()
    assert "answered with an error" in str(job.abort_reason)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "more"),
    [("FINISHED", {}), ("EXCEPTION", {}), ("EXCEPTION", {"attempt": 0, "start_time": None})],  # aborted while it waited
)
def test_a_job_that_has_ended_is_not_withdrawn(status: str, more: dict[str, Any]) -> None:
    job = job_row(status, **more)
    assert withdraw(job.pk) is Withdrawal.ENDED
    assert Job.objects.get().status == status


@pytest.mark.django_db
def test_a_job_that_has_started_keeps_its_key_and_a_repetition_gets_it() -> None:
    job = scheduled()
    claimed(job)
    assert withdraw(job.pk, key=KEY) is Withdrawal.STARTED
    job.refresh_from_db()
    assert (job.status, job.abort_reason) == ("RUNNING", None)
    assert scheduled() == job


@pytest.mark.django_db
def test_a_job_that_waits_for_another_attempt_has_started_too() -> None:
    job = scheduled()
    assert transitions.retry(claimed(job), due=60.0, reason="busy")
    assert withdraw(job.pk, key=KEY) is Withdrawal.STARTED
    assert scheduled() == job
    assert withdraw(job.pk) is Withdrawal.STOPPED
    assert Job.objects.get().exception_type == "JobAborted"


@pytest.mark.django_db
def test_nothing_is_withdrawn_of_a_job_that_was_never_stored() -> None:
    assert withdraw(4711, key=KEY) is Withdrawal.NOTHING


def entry_of(job_id: int) -> AuditEntry:
    return AuditEntry(
        pk=4711, time=timezone.now(), who="eva", origin="127.0.0.1", action=Deed.SCHEDULED.value, job_id=job_id
    )


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("withdraw-")]


@pytest.mark.needs("postgresql")
def test_withdrawing_waits_until_the_outcome_of_the_commit_is_known(postgresql: PostgreSQL) -> None:
    committing = postgresql.connect()
    backend = committing.info.backend_pid
    entry = entry_of(4711)
    withdraw_later(entry, backend=backend, key=None)
    asking = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%jobs_auditentry%%'"
    wait_until(lambda: len(postgresql.execute(asking)) > 0)
    assert threads(), "the job may still appear"
    with transaction.atomic():
        job_row("SCHEDULED", id=4711)
        entry.save(force_insert=True)
    wait_until(lambda: not Job.objects.exists())
    wait_until(lambda: not threads())
    committing.close()


@pytest.mark.needs("postgresql")
def test_the_thread_ends_if_there_is_no_job_to_withdraw(postgresql: PostgreSQL) -> None:
    job_row("SCHEDULED")
    withdraw_later(entry_of(4711), backend=NO_SUCH_PROCESS, key=None)
    wait_until(lambda: not threads())
    assert Job.objects.count() == 1
    connections.close_all()


def _crash_before_the_commit(server: PostgreSQL) -> None:
    with transaction.atomic():
        trail.add(Deed.SCHEDULED, who="eva", origin="127.0.0.1", job_id=job_row("SCHEDULED").pk)
        server.kill()
        server.start()


def _entry_of_a_job_that_a_crash_took(server: PostgreSQL) -> AuditEntry:
    while server.execute("SELECT log_cnt FROM jobs_job_id_seq") != [(0,)]:
        job_row("FINISHED")
    with trail.noted() as entries, pytest.raises(Error):
        _crash_before_the_commit(server)
    connections.close_all()
    return entries[0]


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_after_a_crash_another_job_has_the_number(postgresql: PostgreSQL) -> None:
    """PostgreSQL writes every 32nd number of a sequence to its log, and what nobody waited for is lost in a crash."""
    for _ in range(5):  # the server may write its log all the same, and then it knows the number
        backend = session.server_process()
        entry = _entry_of_a_job_that_a_crash_took(postgresql)
        job = scheduled()
        if job.pk == entry.job_id:
            break
    else:
        pytest.fail("no number came again after five crashes")
    withdraw_later(entry, backend=backend, key=None)
    wait_until(lambda: not threads())
    assert Job.objects.filter(pk=job.pk).exists()
    connections.close_all()


@pytest.mark.needs("postgresql")
def test_a_job_stays_if_the_audit_entry_of_its_number_is_another_requests(postgresql: PostgreSQL) -> None:
    job = scheduled()
    theirs = AuditEntry.objects.get(job_id=job.pk)
    ours = entry_of(job.pk)
    ours.pk, ours.time = theirs.pk, theirs.time - timedelta(seconds=1)
    withdraw_later(ours, backend=NO_SUCH_PROCESS, key=None)
    wait_until(lambda: not threads())
    assert Job.objects.get() == job
    withdraw_later(theirs, backend=NO_SUCH_PROCESS, key=KEY)
    wait_until(lambda: not threads())
    assert not Job.objects.exists()
    connections.close_all()
