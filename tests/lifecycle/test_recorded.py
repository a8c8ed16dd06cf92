"""Each transition is recorded once, after its commit, with what it did."""

import pytest
from django.db import transaction

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.dispatch import scheduling
from jobs.lifecycle import transitions
from jobs.testing import perform
from tests import fake_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_jobs_life_is_recorded_from_state_to_state(heard: list[Event]) -> None:
    job = perform(scheduling.schedule(fake_jobs.nothing, {}))
    life = [(event.action, event.fields["from"], event.fields["to"]) for event in heard if "from" in event.fields]
    assert life == [
        (JobAction.SCHEDULE, None, "SCHEDULED"),
        (JobAction.CLAIM, "SCHEDULED", "RUNNING"),
        (JobAction.FINISH, "RUNNING", "FINISHED"),
    ]
    assert {event.fields["job_id"] for event in heard} == {job.pk}


def test_what_is_rolled_back_did_not_happen(heard: list[Event]) -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    heard.clear()
    with transaction.atomic():
        transitions.abort(job.pk, reason="no", by="ann")
        assert heard == []
        transaction.set_rollback(True)
    assert heard == []


def test_an_abort_inside_a_transaction_is_recorded_with_its_commit(heard: list[Event]) -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    heard.clear()
    with transaction.atomic():
        transitions.abort(job.pk, reason="no", by="ann")
    (event,) = heard
    assert (event.action, event.fields["type"]) == (JobAction.CANCEL, "JobAborted")
