"""Mistakes of a body in its use of the platform: each ends the job at once, with words that name the mistake."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from jobs.dispatch import schedule
from jobs.states import Status
from jobs.task import JobContext, JobResult, NextJob, job
from jobs.testing import exception_of, perform_job
from tests import fake_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def _guard(ctx: JobContext) -> None:
    with ctx.guarded_by_lock():
        pass


MISTAKES: dict[str, tuple[Callable[[JobContext], Any], str, str]] = {
    "a time in words": (lambda ctx: ctx.retry(countdown=cast("Any", "soon")), "TypeError", "timedelta"),
    "a time without end": (lambda ctx: ctx.retry(countdown=1e12), "OverflowError", "date value"),
    "the next job's name": (
        lambda ctx: JobResult(next_job=NextJob(task=cast("Any", "a.tasks.b"), kwargs={})),
        "TypeError",
        "'a.tasks.b' is not a job: give the function that @job decorates",
    ),
    "another job's function": (lambda ctx: fake_jobs.nothing(ctx), "TypeError", "fake_jobs.nothing is a job"),
    "no lock": (_guard, "LockLost", "the job has no lock"),
    "a device without a name": (
        lambda ctx: ctx.device_finished(cast("Any", 3)),
        "TypeError",
        "takes the name of a device, not 3",
    ),
}


@job
def mistaken(ctx: JobContext, *, mistake: str) -> Any:
    return MISTAKES[mistake][0](ctx)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_ends_the_job_with_words_that_name_it(mistake: str) -> None:
    _, type_, words = MISTAKES[mistake]
    ended = perform_job(mistaken, mistake=mistake)
    assert (ended.status, ended.exception_type) == (Status.EXCEPTION, type_)
    stored = exception_of(ended)
    assert stored is not None
    assert words in stored["message"]


def test_a_job_is_not_scheduled_by_its_name() -> None:
    with pytest.raises(TypeError, match="is not a job: give the function"):
        schedule(cast("Any", "a.tasks.b"), {})
