"""The checks of Idempotency-Keys and of withdrawn jobs can fail."""

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, judge, only
from tests.chaos.fabricated import START, Fabricated
from tests.chaos.record import Post

NOT_KNOWN = "it is not known whether a job was scheduled"


@pytest.fixture(autouse=True)
def _away(run: Fabricated) -> None:
    """The database is, as the web server sees it, from 95 s to 130 s."""
    run.down("database", 95, 130)


def _post(run: Fabricated, at: float, *, status: int = 200, job: int | None = None, says: str = "") -> None:
    run.record.posts.append(Post(at=START + at, seconds=0.1, status=status, key="k", job=job, says=says))


def _insert(run: Fabricated, job: int, *, at: float, delete_at: float | None = None) -> None:
    """A job of this key; it runs, or is withdrawn."""
    if delete_at is None:
        run.whole_job(job, at=at)
    else:
        run.accept(job, at=at)
        run.withdraw(job, at=delete_at)
    run.posted(job, "k")


def test_a_key_may_be_answered_with_its_one_job_after_all(run: Fabricated) -> None:
    _insert(run, 4, at=101)
    _post(run, 100, status=503, says=NOT_KNOWN)
    _post(run, 140, job=4)
    _post(run, 160, job=4)
    figures = fine(run).figures
    assert (figures.refused, figures.unknown, figures.repeated, figures.withdrawn) == (1, 1, 1, 0)


def test_a_job_that_was_withdrawn_may_be_followed_by_another_of_the_same_key(run: Fabricated) -> None:
    _insert(run, 4, at=101, delete_at=131)
    _insert(run, 5, at=140)
    _post(run, 100, status=503, says=NOT_KNOWN)
    _post(run, 140, job=5)
    assert fine(run).figures.withdrawn == 1


def test_a_key_that_made_two_jobs_is_found(run: Fabricated) -> None:
    _insert(run, 4, at=101)
    _insert(run, 5, at=140)
    _post(run, 100, status=503, says=NOT_KNOWN)
    _post(run, 140, job=5)
    assert only(Promise.KEYS, run) == "Idempotency-Key k made several jobs: [4, 5]"


def test_one_key_answered_with_two_jobs_is_found(run: Fabricated) -> None:
    _post(run, 150, job=1)
    _post(run, 151, job=2)
    assert "was answered with several jobs" in only(Promise.KEYS, run)


def test_an_answer_that_names_a_withdrawn_job_is_found(run: Fabricated) -> None:
    _insert(run, 4, at=101, delete_at=145)
    _post(run, 100, status=503, says=NOT_KNOWN)
    _post(run, 140, job=4)
    assert "was answered with a job that was withdrawn" in only(Promise.KEYS, run)


def test_a_refusal_for_certain_that_stored_a_job_is_found(run: Fabricated) -> None:
    _insert(run, 4, at=101)
    _post(run, 100, status=503, says="try again later")
    _post(run, 140, job=4)
    assert "was refused for certain (try again later), and job 4 was stored" in only(Promise.KEYS, run)


def test_a_job_that_ran_and_was_withdrawn_is_found(run: Fabricated) -> None:
    run.whole_job(4, at=101)
    run.withdraw(4, at=131)
    run.record.accepted = [each for each in run.record.accepted if each.job != 4]
    assert only(Promise.WITHDRAWN, run) == "job 4 was withdrawn, and had run"


def test_a_job_that_was_accepted_and_withdrawn_is_found(run: Fabricated) -> None:
    run.accept(4, at=101)
    accepted = run.record.accepted[-1]
    run.withdraw(4, at=131)
    run.record.accepted.append(accepted)
    assert Promise.WITHDRAWN in judge(run).promises()
