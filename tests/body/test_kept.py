"""What a body keeps in case it raises is stored beside the exception."""

from typing import Any

import pytest
from django.db import DataError

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.fleet import result
from jobs.models import Job, JobOutcome
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job, result_of
from tests.fake_jobs import fleets

pytestmark = pytest.mark.django_db(transaction=True)


@job
def keeps(ctx: JobContext, *, ends: str, kept: Any = None) -> dict[str, str]:
    def known(exc: BaseException) -> Any:
        if kept == "raises":
            raise RuntimeError("nothing is known")
        if kept == "exits":
            raise SystemExit(4)
        return {"known": str(exc), "kept": {1, 2} if kept == "no JSON" else kept}

    ctx.keep(known)
    if ends == "retry":
        ctx.retry(exc=ValueError("again"), countdown=60)
    if ends == "raises":
        raise ValueError("broken")
    if ends == "exits":
        raise SystemExit(3)
    return {"ends": ends}


def stored(job: Job) -> tuple[str, str, Any]:
    found = exception_of(job)
    assert found is not None
    return job.status, found["type"], result_of(job)


def test_a_body_that_raises_has_what_it_kept_as_its_result() -> None:
    job = perform_job(keeps, ends="raises", kept=["a", 1])
    assert stored(job) == (Status.EXCEPTION, "ValueError", {"known": "broken", "kept": ["a", 1]})


def test_what_a_body_keeps_is_stored_if_it_exits() -> None:
    assert stored(perform_job(keeps, ends="exits"))[2]["known"] == "the body raised SystemExit: 3"


@pytest.mark.parametrize("kept", ["raises", "exits", "no JSON"])
def test_what_can_not_be_kept_leaves_the_end_as_it_is(kept: str, heard: list[Event]) -> None:
    assert stored(perform_job(keeps, ends="raises", kept=kept)) == (Status.EXCEPTION, "ValueError", None)
    assert JobAction.KEPT_LOST in [event.action for event in heard]


def test_what_the_database_refuses_leaves_the_end_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    original = JobOutcome.objects.create

    def create(**fields: Any) -> JobOutcome:
        if fields.get("result"):
            raise DataError("too long")
        return original(**fields)

    monkeypatch.setattr(JobOutcome.objects, "create", create)
    assert stored(perform_job(keeps, ends="raises")) == (Status.EXCEPTION, "ValueError", None)


def test_long_reports_of_devices_outlive_a_body_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "COPIED_BYTES", 0)
    found = stored(perform_job(fleets.each_twice, hosts=["a"]))
    assert found == (Status.EXCEPTION, "RuntimeError", {"devices": {"a": {"name": "a"}}})


def test_a_body_that_returns_has_its_own_result() -> None:
    job = perform_job(keeps, ends="well")
    assert (job.status, result_of(job), exception_of(job)) == (Status.FINISHED, {"ends": "well"}, None)


def test_a_retry_keeps_nothing_and_is_not_asked(caplog: pytest.LogCaptureFixture) -> None:
    job = perform_job(keeps, ends="retry", kept="raises")
    assert (job.status, result_of(job)) == (Status.SCHEDULED, None)
    assert JobAction.KEPT_LOST not in [getattr(record, "action", None) for record in caplog.records]
