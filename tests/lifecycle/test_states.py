"""The transition table, every state × every verb."""

from uuid import UUID

import pytest

from jobs.end_reasons import Failure
from jobs.errors import JobNotAbortable
from jobs.lifecycle import approval, transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.states import TERMINAL, TRANSITIONS, Status, Verb
from tests import fake_jobs
from tests.factory import claim, hold_lock, job_in

FAILURE = Failure(type="ValueError", message="it broke")


def _try(verb: Verb, job: Job) -> None:
    """Attempt a verb on a job, with the job's own tokens, whatever its state."""
    token = job.run_token or UUID(int=1)
    run = Run(
        job_id=job.pk,
        run_token=token,
        worker="w",
        attempt=1,
        retries=0,
        start_arguments="{}",
        lock_name=job.lock_name,
        fence=job.fence,
        scheduled_by=None,
        comment=None,
        ticket_ref=None,
        start_time=job.start_time or job.scheduled_time,
    )
    match verb:
        case Verb.CLAIM:
            claim(job)
        case Verb.PARK:
            hold_lock("devices", 999)
            claim(job)
        case Verb.FINISH:
            transitions.finish(run, Outcome(result='"x"'))
        case Verb.FAIL:
            transitions.fail(run, FAILURE)
        case Verb.RETRY:
            transitions.retry(run, due=0, reason="again")
        case Verb.RERUN:
            transitions.lose(job.pk, token, type="WorkerLost", message="gone")
        case Verb.CANCEL:
            transitions.cancel(job.pk, FAILURE)
        case Verb.APPROVE:
            approval.approve(job.pk, by="me")
        case Verb.REQUEST_ABORT:
            try:
                transitions.abort(job.pk, reason="enough", by="me")
            except JobNotAbortable:
                assert job.status in TERMINAL


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("status", Status)
def test_each_verb_has_its_effect_in_its_states_and_none_in_the_others(status: Status, verb: Verb) -> None:
    task = {Verb.PARK: fake_jobs.with_lock, Verb.RERUN: fake_jobs.rerun_if_lost}.get(verb, fake_jobs.nothing)
    waits_for_approval = verb is Verb.APPROVE and status is Status.SCHEDULED
    job = fake_jobs.guarded.schedule() if waits_for_approval else job_in(status, task=task)
    before = Job.objects.filter(pk=job.pk).values().get()

    _try(verb, job)

    job.refresh_from_db()
    source, target = TRANSITIONS[verb]
    if verb is Verb.REQUEST_ABORT and status is Status.SCHEDULED:
        assert job.status == Status.EXCEPTION  # aborting a waiting job is the verb CANCEL
    elif status is source:
        assert job.status == target
        assert job.parked is (verb is Verb.PARK)
        assert job.unapproved is None
        assert (job.abort_reason is not None) is (verb is Verb.REQUEST_ABORT)
    else:
        assert Job.objects.filter(pk=job.pk).values().get() == before


def test_no_verb_leaves_a_terminal_state() -> None:
    assert all(source not in TERMINAL for source, _ in TRANSITIONS.values())
