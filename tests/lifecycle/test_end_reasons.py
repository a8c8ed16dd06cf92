"""Why a job ended: one vocabulary, whose texts clients know."""

import re
from pathlib import Path

import pytest

from jobs import errors
from jobs.end_reasons import EndReason, Failure

DOCUMENTED = Path(__file__).parents[2] / "docs/how-a-job-runs.md"


def test_the_texts_stay_as_clients_know_them() -> None:
    assert list(EndReason) == [
        "JobAborted",
        "WorkerLost",
        "WorkerShutdown",
        "TimeLimitExceeded",
        "LockLost",
        "LockWaitTimeout",
        "ResultNotStorable",
        "BodyExited",
        "JobRejected",
        "ApprovalExpired",
        "RightsWithdrawn",
        "UnknownTask",
    ]


@pytest.mark.parametrize(
    "raised",
    [errors.BodyExited, errors.JobAborted, errors.LockLost, errors.ResultNotStorable, errors.TimeLimitExceeded],
)
def test_an_exception_that_ends_a_job_is_named_as_its_reason(raised: type[Exception]) -> None:
    assert EndReason.of(Failure.of(raised("why")).type) is not None


def test_every_way_to_stop_a_body_has_a_reason() -> None:
    """Those that an author sees; how a participant leaves its devices ends no job."""
    stops = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.JobStopped)]
    assert [stop.__name__ for stop in stops if stop is not errors.JobStopped and not EndReason.of(stop.__name__)] == []
    assert len(stops) > 1


def test_a_bodys_own_exception_is_no_reason_of_ours() -> None:
    assert EndReason.of("ValueError") is None
    assert EndReason.of(None) is None


def test_what_was_taken_away_is_lost_and_only_a_lost_worker_reruns() -> None:
    assert {reason for reason in EndReason if reason.is_lost} == {
        "WorkerLost",
        "WorkerShutdown",
        "LockLost",
        "LockWaitTimeout",
        "TimeLimitExceeded",
    }
    assert {reason for reason in EndReason if reason.reruns} == {"WorkerLost", "WorkerShutdown"}


def test_the_docs_name_every_reason() -> None:
    table = DOCUMENTED.read_text().partition("| `exception.type` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) == set(EndReason)
