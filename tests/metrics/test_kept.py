"""The stored counters: nothing is counted twice or lost, and the number of label sets is limited."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from django.db import connections

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import record, subscribe, unsubscribe
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.bulletin import Bulletin
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import Poller
from cnaasjobs.live.report import Report, saw
from jobs.actions import JobAction
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.metric_models import MetricCount, MetricMark
from jobs.metrics import counted_here, kept
from jobs.metrics import fold as folding
from jobs.metrics.families import LOOKED
from jobs.metrics.fold import fold
from jobs.models import Job
from jobs.outcome import Outcome
from tests import fake_jobs
from tests.factory import claimed
from tests.metrics.folding import begin, finished, fold_all, metrics

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


@pytest.fixture(autouse=True)
def _begun(each_database: None) -> None:
    begin()


class Hears:
    def take(self, bulletin: Bulletin) -> None:
        """It listens."""


def test_what_could_not_be_stored_is_stored_later(monkeypatch: pytest.MonkeyPatch) -> None:
    record(JobAction.PUBLISH_FAILED, messages=3, error="away")

    def refuse(*_: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(kept, "add", refuse)
        with pytest.raises(RuntimeError):
            folding.flush()
    assert metrics()["publish_failures_total",] == 3


def test_what_could_not_be_counted_is_counted_once_later(monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = database_now() - timedelta(seconds=100)
    Job.objects.filter(pk=finished().pk).update(start_time=long_ago, scheduled_time=long_ago)
    record(JobAction.PUBLISH_FAILED, messages=3, error="away")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(MetricMark, "save", refuse)
        with pytest.raises(RuntimeError):
            fold()
    fold_all()
    found = metrics()
    assert (found["jobs_ended_total", "nothing", "finished"], found["publish_failures_total",]) == (1, 3)
    assert found["job_start_late_seconds_count",] == 1
    assert found["job_run_seconds_sum", "nothing"] == pytest.approx(100, abs=20)


def test_what_is_counted_later_comes_on_top() -> None:
    for number in (1, 2):
        finished()
        fold_all()
        found = metrics()
        assert found["jobs_ended_total", "nothing", "finished"] == number
        assert found["job_run_seconds_bucket", "nothing", "+Inf"] == number


def test_of_times_the_latest_stays() -> None:
    for looked in (20.0, 10.0):  # of two processes, the second's came later
        counted_here.listened(1, looked=looked)
        folding.flush()
    assert MetricCount.objects.get(name=LOOKED.name).value == 20.0


def test_two_that_fold_at_once_count_each_end_once() -> None:
    for _ in range(20):
        finished()

    def folds() -> None:
        try:
            fold()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=folds) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    fold_all()
    assert MetricCount.objects.get(name="jobs_ended").value == 20


def test_the_number_of_label_sets_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_LABELS", 2)
    for number in range(5):
        run = claimed(scheduling.schedule(fake_jobs.nothing, {}))
        assert transitions.fail(run, Failure(type=f"Error{number}", message="no"))
    fold_all()
    found = {key[1:]: value for key, value in metrics().items() if key[0] == "jobs_ended_total"}
    assert sum(found.values()) == 5
    assert found["other", "other"] == 3


def test_labels_that_would_be_too_long_for_their_column_are_others() -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    Job.objects.filter(pk=job.pk).update(function_name="\x01" * 128)
    assert transitions.finish(claimed(job), Outcome(result=None))
    fold_all()
    assert metrics()["jobs_ended_total", "other", "other"] == 1


def test_what_the_events_process_says_of_its_readers_is_kept() -> None:
    database = Database()
    try:
        poller = Poller(database)
        report = Report(database, poller)
        poller.looked_at = 1_700_000_000.0
        subscribe(saw)
        record(LiveAction.READER_DROPPED, what="events")
        record(LiveAction.READER_DROPPED, what="events")
        asyncio.run(report.store())
        found = metrics()
        assert (found["events_readers",], found["events_last_look_timestamp_seconds",]) == (0, 1_700_000_000.0)
        assert found["events_readers_dropped_total", "events"] == 2
        assert ("events_delay_seconds",) not in found  # nobody listens, so nobody looks
        counted_here.listened(3, looked=time.time() - 40)
        fold()
        asyncio.run(report.store())  # of a second process, which nobody listens to: that stands there no more
        assert metrics()["events_delay_seconds",] >= 40
        poller.join(Hears())
        asyncio.run(report.store())
        assert metrics()["events_readers",] == 1
    finally:
        unsubscribe(saw)
        database.close()
