"""Waiting in line for a lock: first come first served, no slot held, nobody forgotten."""

from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.dispatch import line, scheduling
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.states import Status
from locks import service as locks
from tests import fake_jobs
from tests.factory import claimed, refused

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_taken_lock_parks_the_job_and_says_for_whom_it_waits() -> None:
    holder, waiter = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    claimed(holder)
    assert refused(waiter).reason == f"lock devices is taken; it waits in line for job {holder.pk}"
    waiter.refresh_from_db()
    assert (waiter.status, waiter.parked, waiter.dispatched_at) == (Status.SCHEDULED, True, None)
    assert waiter.waiting_since is not None


def test_the_finish_wakes_the_first_in_line() -> None:
    holder, second, third = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(3))
    run = claimed(holder)
    refused(third)
    refused(second)
    transitions.finish(run, Outcome(result=None))
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.parked, third.parked) == (False, True)


def test_nobody_overtakes_the_line() -> None:
    first, second = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    assert "waits in line for those before it" in refused(second).reason
    transitions.finish(claimed(first), Outcome(result=None))
    claimed(second)


def test_a_job_that_finds_the_lock_free_but_others_before_it_wakes_them() -> None:
    """The first in line may have been parked just before the lock came free, when nobody was there to be woken."""
    first, second = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    Job.objects.filter(pk=first.pk).update(parked=True, dispatched_at=None)
    refused(second)
    first.refresh_from_db()
    assert (first.parked, first.dispatched_at is None) == (False, False)


def test_a_wait_counts_from_the_first_time_the_lock_was_taken() -> None:
    claimed(scheduling.schedule(fake_jobs.with_lock, {}))
    waiter = scheduling.schedule(fake_jobs.with_lock, {})
    since = database_now() - timedelta(hours=1)
    Job.objects.filter(pk=waiter.pk).update(waiting_since=since)
    refused(waiter)
    waiter.refresh_from_db()
    assert (waiter.parked, waiter.waiting_since) == (True, since)
    transitions.abort(waiter.pk, reason="", by="ann")
    waiter.refresh_from_db()
    assert (waiter.parked, waiter.waiting_since) == (False, None)


def test_a_job_due_later_does_not_hold_up_one_that_is_due() -> None:
    scheduling.schedule(fake_jobs.with_lock, {}, at=database_now() + timedelta(hours=1))
    claimed(scheduling.schedule(fake_jobs.with_lock, {}))


def test_an_early_message_does_not_park_a_job() -> None:
    """Parked, it would have no message when it falls due, and its wait for the lock would count from now."""
    claimed(scheduling.schedule(fake_jobs.with_lock, {}))
    early = scheduling.schedule(fake_jobs.with_lock, {}, at=database_now() + timedelta(hours=1))
    refused(early)
    early.refresh_from_db()
    assert (early.status, early.parked, early.waiting_since) == (Status.SCHEDULED, False, None)


def test_the_abort_of_the_first_in_line_wakes_the_next() -> None:
    first, second = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    refused(second)
    transitions.abort(first.pk, reason="", by="ann")
    second.refresh_from_db()
    assert not second.parked
    claimed(second)


def test_a_cleared_lock_goes_to_the_next_in_line_with_a_greater_token() -> None:
    holder, waiter = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(2))
    lost = claimed(holder)
    refused(waiter)
    locks.clear("devices", who="ann", origin="127.0.0.1", user=None)
    waiter.refresh_from_db()
    assert not waiter.parked
    run = claimed(waiter)
    assert lost.fence is not None
    assert run.fence == lost.fence + 1
    transitions.finish(lost, Outcome(result=None))
    assert [lock.holder_id for lock in locks.held()] == [waiter.pk]


def test_locks_of_other_names_do_not_wait_for_each_other() -> None:
    claimed(scheduling.schedule(fake_jobs.with_lock, {}))
    claimed(scheduling.schedule(fake_jobs.with_other_lock, {}))
    assert Job.objects.filter(status=Status.RUNNING).count() == 2


def test_only_what_is_due_and_approved_is_in_line() -> None:
    scheduling.schedule(fake_jobs.with_lock, {}, at=database_now() + timedelta(hours=1))
    aside = scheduling.schedule(fake_jobs.with_lock, {})
    Job.objects.filter(pk=aside.pk).update(unapproved=True, parked=True, dispatched_at=None)
    assert line.names() == []
    waits = scheduling.schedule(fake_jobs.with_lock, {})
    assert line.names() == ["devices"]
    assert list(line.of("devices")) == [waits]
