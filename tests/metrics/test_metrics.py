"""``/metrics``: what a scrape says, and counts that have each end of a job once, over restarts, races and restores."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.metric_models import MetricMark
from jobs.metrics import fold as folding
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.sql import totals
from jobs.states import Status
from jobs.upkeep.runner import Step
from jobs.upkeep_steps import UpkeepStep
from tests import fake_jobs
from tests.api.conftest import Api, api_of, tokens_required, user_with
from tests.factory import claimed, device_row, heartbeat, hold_lock, job_in, job_row, job_rows, refused
from tests.metrics.folding import begin, finished, fold_all, metrics

__all__ = ["api_of", "tokens_required", "user_with"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


@pytest.fixture(autouse=True)
def _begun(each_database: None) -> None:
    begin()


def test_each_end_is_counted_once_by_what_it_was() -> None:
    for _ in range(3):
        finished()
    assert transitions.fail(
        claimed(scheduling.schedule(fake_jobs.nothing, {})), Failure(type="ValueError", message="no")
    )
    transitions.abort(scheduling.schedule(fake_jobs.nothing, {}).pk, reason="", by="ann")
    with_devices = scheduling.schedule(fake_jobs.nothing, {})
    run = claimed(with_devices)
    device_row(with_devices, "a1")
    device_row(with_devices, "a2", reason="no route")
    device_row(with_devices, "a3", "WAITING")
    transitions.finish(run, Outcome(result=None))
    fold_all()
    fold_all()
    found = metrics()
    assert found["jobs_ended_total", "nothing", "finished"] == 3
    assert found["jobs_ended_total", "nothing", "ValueError"] == 1
    assert found["jobs_ended_total", "nothing", "JobAborted"] == 1
    assert found["jobs_ended_total", "nothing", "failed devices"] == 1
    assert {key[1]: value for key, value in found.items() if key[0] == "devices_total"} == {
        "ok": 1,
        "failed": 1,
        "not begun": 1,
    }
    assert found["job_run_seconds_count", "nothing"] == 5  # one was aborted before it started
    assert found["job_run_seconds_bucket", "nothing", "+Inf"] == 5
    assert found["job_wait_seconds_count", "slot"] == 5
    assert found["job_start_late_seconds_count",] == 5


def test_what_is_not_over_yet_is_counted_when_it_is() -> None:
    running = job_in(Status.RUNNING)
    fold_all()
    assert ("jobs_ended_total", "nothing", "finished") not in metrics()
    finished()
    fold_all()
    run = Job.objects.get(pk=running.pk)
    transitions.lose(run.pk, run.run_token, type="WorkerLost", message="gone")  # type: ignore[arg-type]
    fold_all()
    found = metrics()
    assert (found["jobs_ended_total", "nothing", "finished"], found["jobs_ended_total", "nothing", "WorkerLost"]) == (
        1,
        1,
    )


def test_more_ends_than_fit_at_once_are_all_counted_also_of_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "AT_ONCE", 3)
    with transaction.atomic():
        for _ in range(5):
            finished()
    for _ in range(4):
        finished()
    fold_all()
    assert metrics()["jobs_ended_total", "nothing", "finished"] == 9


def test_pruned_jobs_stay_counted() -> None:
    finished()
    fold_all()
    Job.objects.all().delete()
    fold_all()
    assert metrics()["jobs_ended_total", "nothing", "finished"] == 1


def test_after_a_restore_into_another_database_counts_go_on_and_nothing_is_counted_again() -> None:
    finished()
    fold_all()
    MetricMark.objects.update(feed="another", upto=0)
    fold_all()
    fold_all()
    assert metrics()["jobs_ended_total", "nothing", "finished"] == 1
    finished()
    fold_all()
    assert metrics()["jobs_ended_total", "nothing", "finished"] == 2


def test_how_long_a_job_waited_for_its_lock_is_counted() -> None:
    first, second, never = (scheduling.schedule(fake_jobs.with_lock, {}) for _ in range(3))
    run = claimed(first)
    refused(second)
    refused(never)
    assert transitions.cancel(never.pk, Failure(type="JobAborted", message="enough"))
    transitions.finish(run, Outcome(result=None))
    second.refresh_from_db()
    transitions.finish(claimed(second), Outcome(result=None))
    fold_all()
    found = metrics()
    assert (found["job_wait_seconds_count", "lock"], found["job_wait_seconds_count", "slot"]) == (1, 2)


def test_jobs_locks_and_workers_are_shown_as_they_are() -> None:
    worker = heartbeat("celery@w1", concurrency=4, run_tokens='["a"]', queues='["default", "fast"]')
    heartbeat("beat", kind="beat", queues="[]")
    heartbeat("celery@gone", stopped_at=database_now())
    running = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    waiting = scheduling.schedule(fake_jobs.with_lock, {})
    refused(waiting)
    due = scheduling.schedule(fake_jobs.nothing, {}, queue="fast")
    scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(days=1))
    job_row()
    hold_lock("other", 4711)
    found = metrics()
    assert found["jobs", "with_lock", "SCHEDULED"] == 1
    assert found["jobs", "nothing", "SCHEDULED"] == 2
    assert found["jobs", "with_lock", "RUNNING"] == 1
    assert found["jobs_kept",] == 5
    assert found["queue_oldest_due_timestamp_seconds", "fast"] == pytest.approx(due.scheduled_time.timestamp())
    assert ("queue_oldest_due_timestamp_seconds", "default") not in found
    assert found["lock_held_since_timestamp_seconds", "devices"] >= running.scheduled_time.timestamp()
    assert ("lock_held_since_timestamp_seconds", "other") in found
    assert found["lock_waiting", "devices"] == 1
    assert found["heartbeat_timestamp_seconds", "worker", "celery@w1"] == pytest.approx(worker.last_seen.timestamp())
    assert ("heartbeat_timestamp_seconds", "beat", "beat") in found
    assert ("heartbeat_timestamp_seconds", "worker", "celery@gone") not in found
    assert (found["worker_slots", "celery@w1"], found["worker_slots_busy", "celery@w1"]) == (4, 1)
    assert (found["queue_slots", "default"], found["queue_slots", "fast"]) == (4, 4)
    assert found["feed_change",] > 0


def test_publish_failures_repairs_and_upkeeps_successes_are_kept() -> None:
    assert metrics()["publish_failures_total",] == 0
    before = database_now().timestamp()
    record(JobAction.PUBLISH_FAILED, messages=3, error="away")
    Step(UpkeepStep.RESCUE, lambda: 2).call()
    Step(UpkeepStep.PRUNE, lambda: 7).call()
    Step(UpkeepStep.UNSERVED, lambda: 1 // 0).call()
    found = metrics()
    assert found["publish_failures_total",] == 3
    assert {key[1]: value for key, value in found.items() if key[0] == "repairs_total"} == {"rescue": 2}
    steps = {key[1]: value for key, value in found.items() if key[0] == "upkeep_last_success_timestamp_seconds"}
    assert {step for step, at in steps.items() if at} == {"rescue", "prune"}
    assert steps["rescue"] >= before - 60
    assert steps["unserved"] == 0
    assert metrics()["publish_failures_total",] == 3


def test_it_asks_for_a_token_and_the_permission(
    tokens_required: None, api_of: Callable[[User], Api], user_with: Callable[..., User]
) -> None:
    assert Client().get("/metrics").status_code == 401
    assert api_of(user_with("locks.view_lock")).client.get("/metrics").status_code == 403
    assert api_of(user_with("jobs.view_job", name="prometheus")).client.get("/metrics").status_code == 200


def test_a_scrape_reads_no_ended_job() -> None:
    """Where there are many, each question goes along an index of those that wait or run."""
    job_rows(5000)
    scheduling.schedule(fake_jobs.nothing, {})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for _ in range(3):
        totals.advance()
    with CaptureQueriesContext(connection) as queries:
        metrics()
    asked = [query["sql"] for query in queries if re.search(r"SCHEDULED|RUNNING", query["sql"])]
    assert len(asked) >= 6
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}" if connection.vendor == "sqlite" else f"EXPLAIN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert not re.search(r"Seq Scan on jobs_job\b", plan), sql
            assert not re.search(r"SCAN jobs_job\b(?! USING)", plan), sql
