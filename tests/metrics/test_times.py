"""How long jobs took: the database puts each time into its bucket, and adds them up."""

from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from jobs.metrics import counted_here, kept
from jobs.metrics.fold import fold
from tests.factory import job_row
from tests.metrics.folding import fold_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


@pytest.fixture(autouse=True)
def _begun(each_database: None) -> None:
    counted_here.taken()
    fold()


def job(*, ran: float, late: float = 0.0, sent: float | None = None) -> None:
    """One that ended after so many seconds, began so long after its time, and was sent so long after it."""
    start = database_now() + timedelta(days=1)
    due = start - timedelta(seconds=late)
    sent_at = None if sent is None else due + timedelta(seconds=sent)
    finish = start + timedelta(seconds=ran)
    job_row(start_time=start, finish_time=finish, scheduled_time=due, dispatched_at=sent_at)


def counted(name: str) -> tuple[float, dict[int, int]]:
    """All seconds, and how many are in each bucket that has some."""
    [(_, value, buckets)] = [found for found in kept.all_kept()[name] if found[0] in (["sync_devices"], [])]
    return value, {place: number for place, number in enumerate(buckets) if number}


def test_a_time_that_is_a_bound_is_below_it() -> None:
    for seconds in (0.0, 0.1, 0.101, 86_400.0, 86_400.1):
        job(ran=seconds)
    fold_all()
    seconds, buckets = counted("job_run_seconds")
    assert seconds == pytest.approx(2 * 86_400 + 0.301)
    assert buckets == {0: 2, 1: 1, 10: 1, 11: 1}


def test_a_clock_that_was_set_back_counts_as_nothing() -> None:
    job(ran=1, late=-7)
    job(ran=1, late=2)
    fold_all()
    seconds, buckets = counted("job_start_late_seconds")
    assert seconds == pytest.approx(2)
    assert buckets == {0: 1, 3: 1}


def test_a_job_waits_for_a_slot_from_when_it_was_sent() -> None:
    job(ran=1, late=10, sent=8)
    job(ran=1, late=10)
    fold_all()
    [(_, seconds, _buckets)] = [found for found in kept.all_kept()["job_wait_seconds"] if found[0] == ["slot"]]
    assert seconds == pytest.approx(2 + 10)
