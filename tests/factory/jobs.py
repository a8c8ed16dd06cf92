"""Jobs in any state, with the tokens and times that belong to it, made the way the product makes them."""

from uuid import UUID, uuid4

from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.states import Status
from jobs.task import JobTask
from tests import fake_jobs


def claim(
    job: Job, *, run_token: UUID | None = None, worker: str = "celery@test", worker_id: int | None = None
) -> Run | Refused:
    """A message of the job reaches a worker's child."""
    return transitions.claim(
        job.pk,
        task_name=job.task_name,
        lock_name=job.lock_name,
        run_token=run_token or uuid4(),
        worker_id=worker_id,
        worker=worker,
    )


def claimed(job: Job) -> Run:
    run = claim(job)
    assert isinstance(run, Run), run
    return run


def refused(job: Job) -> Refused:
    answer = claim(job)
    assert isinstance(answer, Refused), answer
    return answer


def job_in(status: Status, *, task: JobTask = fake_jobs.nothing) -> Job:
    """A job of ``task`` in this state."""
    job = scheduling.schedule(task, {})
    match status:
        case Status.RUNNING:
            claimed(job)
        case Status.FINISHED:
            assert transitions.finish(claimed(job), Outcome(result='"done"'))
        case Status.EXCEPTION:
            assert transitions.fail(claimed(job), Failure(type="ValueError", message="it broke"))
        case Status.SCHEDULED:
            pass
    job.refresh_from_db()
    return job
