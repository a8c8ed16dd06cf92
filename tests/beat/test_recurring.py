"""Recurring schedules: each time fires once, whatever the Beats remember, and edits count."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from cnaasjobs.db.clock import database_now
from jobs.beat import recurring
from jobs.beat.recurring import Recurring
from jobs.broker import publisher
from jobs.models import Job
from tests.factory import ago, at, by, daily, every
from tests.switching import database_fails

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beat() -> Any:
    beat = Recurring()
    yield beat
    beat.close()


def test_a_due_schedule_of_a_job_makes_its_row(beat: Recurring) -> None:
    every(60, task="tests.fake_jobs.echo", kwargs='{"value": [1]}', last_run_at=ago(minutes=2), name="echo hourly")
    beat.step()
    job = Job.objects.get()
    assert (job.scheduled_by, job.function_name) == (by("echo hourly"), "echo")
    assert json.loads(job.start_arguments) == {"value": [1], "dry_run": False}
    row = PeriodicTask.objects.get()
    assert row.total_run_count == 1
    assert row.last_run_at is not None
    assert row.last_run_at > ago(seconds=5)


def test_positional_arguments_are_bound_by_name(beat: Recurring) -> None:
    every(60, task="tests.fake_jobs.by_position", args='["x", 3]', last_run_at=ago(minutes=2))
    beat.step()
    assert json.loads(Job.objects.get().start_arguments) == {"first": "x", "second": 3}


def test_queue_and_priority_of_the_schedule_count(beat: Recurring) -> None:
    every(60, queue="slow", priority=255, last_run_at=ago(minutes=2))
    beat.step()
    assert Job.objects.values_list("queue", "priority").get() == ("slow", 9)


def test_a_schedule_missed_while_no_beat_ran_fires_once(beat: Recurring) -> None:
    now = database_now()
    daily((now - timedelta(hours=7)).hour, name="night", last_run_at=ago(days=5))
    every(10, last_run_at=ago(hours=1))
    for _ in range(3):
        beat.step()
    assert list(Job.objects.order_by("scheduled_by").values_list("scheduled_by", flat=True)) == [
        by("night"),
        by("often"),
    ]


def test_three_beats_at_once_fire_once() -> None:
    for number in range(20):
        every(60, name=f"schedule {number}", last_run_at=ago(minutes=2))
    beats = [Recurring() for _ in range(3)]
    ready = threading.Barrier(3)

    def run(beat: Recurring) -> None:
        beat._refresh(database_now())  # all of them have read the rows before the first fires
        ready.wait(10)
        beat.step()
        beat.close()
        publisher.drop()
        connection.close()

    threads = [threading.Thread(target=run, args=(beat,)) for beat in beats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Job.objects.count() == 20
    assert set(PeriodicTask.objects.values_list("total_run_count", flat=True)) == {1}


def test_a_beat_learns_that_another_one_fired(beat: Recurring) -> None:
    row = every(60, last_run_at=ago(minutes=2))
    beat._refresh(database_now())
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=database_now())
    assert beat.step() == recurring.LOOK_SECONDS
    assert not Job.objects.exists()


def test_the_value_in_memory_is_never_written_back(beat: Recurring) -> None:
    row = every(60)
    beat.step()
    there = database_now() + timedelta(seconds=30)
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=there, total_run_count=7)
    beat.step()
    row.refresh_from_db()
    assert (row.last_run_at, row.total_run_count) == (there, 7)


def test_a_one_off_schedule_runs_once(beat: Recurring) -> None:
    every(1, one_off=True, last_run_at=ago(minutes=2))
    beat.step()
    PeriodicTask.objects.update(last_run_at=ago(minutes=2))
    beat.step()
    row = PeriodicTask.objects.get()
    assert (row.enabled, row.total_run_count, Job.objects.count()) == (False, 1, 1)


@pytest.mark.parametrize("one_off", [True, False])  # what else the row says
def test_a_clocked_schedule_runs_once_at_its_time(beat: Recurring, one_off: bool) -> None:
    at(database_now() + timedelta(hours=1), name="later")
    at(ago(seconds=1), name="now")
    PeriodicTask.objects.update(one_off=one_off)
    assert beat.step() == recurring.LOOK_SECONDS
    beat.step()
    assert [job.scheduled_by for job in Job.objects.all()] == [by("now")]
    assert set(PeriodicTask.objects.values_list("name", "enabled")) == {("later", True), ("now", False)}


def test_the_next_look_is_at_the_next_due_time(beat: Recurring) -> None:
    at(database_now() + timedelta(seconds=2))
    assert 1.5 < beat.step() <= 2


def test_an_expired_schedule_is_disabled_and_does_not_fire(beat: Recurring) -> None:
    every(60, last_run_at=ago(hours=1), expires=ago(minutes=1))
    beat.step()
    assert not PeriodicTask.objects.get().enabled
    assert not Job.objects.exists()


@pytest.mark.parametrize("fields", [{"enabled": False}, {"start_time": "later"}])
def test_disabled_and_not_yet_started_schedules_do_not_fire(beat: Recurring, fields: dict[str, Any]) -> None:
    if "start_time" in fields:
        fields = {"start_time": database_now() + timedelta(hours=1)}
    row = every(60, **fields)
    PeriodicTask.objects.filter(pk=row.pk).update(date_changed=ago(hours=1))
    beat.step()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "tests.fake_jobs.echo", "kwargs": '{"nonsense": 1}'},
        {"task": "tests.fake_jobs.echo", "args": "[1, 2, 3, 4]"},
        {"kwargs": "[1]"},
        {"kwargs": "{"},
        {"args": '{"a": 1}'},
    ],
    ids=["unknown argument", "too many", "a list", "not JSON", "an object"],
)
def test_a_broken_schedule_is_named_in_the_log_and_the_others_go_on(
    beat: Recurring, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    every(60, name="broken one", last_run_at=ago(minutes=2), **fields)
    every(60, name="good one", last_run_at=ago(minutes=2))
    beat.step()
    beat.step()
    assert [job.scheduled_by for job in Job.objects.all()] == [by("good one")]
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "schedule broken one" in errors[0]
    assert PeriodicTask.objects.get(name="broken one").total_run_count == 0


def test_a_schedule_without_sense_is_named_and_the_others_go_on(
    beat: Recurring, caplog: pytest.LogCaptureFixture
) -> None:
    row = every(60, name="nonsense", last_run_at=ago(minutes=2))
    PeriodicTask.objects.filter(pk=row.pk).update(interval=None)
    every(60, name="good one", last_run_at=ago(minutes=2))
    beat.step()
    assert [job.scheduled_by for job in Job.objects.all()] == [by("good one")]
    assert "schedule nonsense is never due" in caplog.text


def test_a_fire_uses_up_the_turn_of_its_own_schedule_alone(beat: Recurring) -> None:
    """Even of two that were stored, and fired last, at the same moment."""
    last = ago(minutes=2)
    for name in ("one", "other"):
        every(60, name=name, last_run_at=last)
    PeriodicTask.objects.update(date_changed=last)
    beat.step()
    assert {*Job.objects.values_list("scheduled_by", flat=True)} == {by("one"), by("other")}


def test_the_database_failing_in_a_fire_consumes_nothing(beat: Recurring) -> None:
    last = ago(minutes=2)
    every(60, last_run_at=last)
    with database_fails(asked_about="jobs_job"), pytest.raises(OperationalError):
        beat.step()
    row = PeriodicTask.objects.get()
    assert (row.total_run_count, row.last_run_at) == (0, last)
    beat.step()
    assert Job.objects.count() == 1


# --- edits ------------------------------------------------------------------------------------------------------------


def test_an_edit_counts_from_the_next_look(beat: Recurring) -> None:
    row = every(3600, task="tests.fake_jobs.echo", kwargs='{"value": 1}', last_run_at=ago(minutes=2))
    beat.step()
    row.kwargs = '{"value": 2}'
    row.interval.every = 60
    row.interval.save()
    row.save()
    beat.step()
    assert json.loads(Job.objects.get().start_arguments)["value"] == 2


def test_an_edit_between_look_and_fire_is_not_lost(beat: Recurring) -> None:
    row = every(60, task="tests.fake_jobs.echo", kwargs='{"value": 1}', last_run_at=ago(minutes=2))
    beat._refresh(database_now())
    change = PeriodicTasks.last_change()
    row.kwargs = '{"value": 2}'
    row.save()
    PeriodicTasks.objects.update(last_update=change)  # the mark of the change is not seen
    beat.step()
    beat.step()
    assert json.loads(Job.objects.get().start_arguments)["value"] == 2


def test_an_edit_by_a_web_server_whose_clock_is_behind_counts(beat: Recurring) -> None:
    every(60, last_run_at=ago(minutes=2), enabled=False)
    beat.step()
    PeriodicTask.objects.update(enabled=True)
    PeriodicTasks.objects.update(last_update=ago(hours=1))
    PeriodicTask.objects.update(last_run_at=None, date_changed=ago(seconds=1))
    beat.step()
    assert len(beat._entries) == 1


def test_a_new_time_of_day_was_not_missed(beat: Recurring) -> None:
    now = database_now()
    row = daily((now + timedelta(hours=2)).hour, last_run_at=ago(hours=20))
    beat.step()
    row.crontab = CrontabSchedule.objects.create(hour=str((now - timedelta(hours=2)).hour), minute="0")
    row.save()
    beat.step()
    beat.step()
    assert not Job.objects.exists()


@pytest.mark.parametrize("enable", ["action", "toggle", "save"])
def test_a_schedule_enabled_after_a_long_time_counts_from_then_on(beat: Recurring, enable: str) -> None:
    row = every(60, last_run_at=ago(days=30))
    PeriodicTask.objects.update(enabled=False, date_changed=ago(days=30))
    beat.step()
    changes: dict[str, Callable[[], Any]] = {
        "action": lambda: PeriodicTask.objects.update(enabled=True, last_run_at=None),
        "toggle": lambda: PeriodicTask.objects.update(enabled=True),
        "save": lambda: row.save(),  # the form's row, enabled
    }
    changes[enable]()
    PeriodicTasks.update_changed()
    beat.step()
    Recurring().step()  # and another Beat, started now
    assert not Job.objects.exists()
    row.refresh_from_db()
    assert row.enabled


def test_intervals_go_on_after_the_database_s_clock_was_set_back(beat: Recurring) -> None:
    every(1, last_run_at=database_now() + timedelta(hours=1))
    beat.step()
    row = PeriodicTask.objects.get()
    assert row.last_run_at is not None
    assert row.last_run_at < database_now()
    assert not Job.objects.exists()
    assert beat.step() <= 1


def test_one_that_was_disabled_between_look_and_fire_does_not_fire(beat: Recurring) -> None:
    every(60, last_run_at=ago(minutes=2))
    beat._refresh(database_now())
    PeriodicTask.objects.update(enabled=False)  # as the admin's action does: it leaves no time in the row
    beat.step()
    assert not Job.objects.exists()


@pytest.mark.parametrize("given", [{"headers": '{"a": 1}'}, {"exchange": "x"}, {"routing_key": "x"}])
def test_a_plain_task_that_says_how_its_message_is_sent_is_not_sent(
    beat: Recurring, caplog: pytest.LogCaptureFixture, given: dict[str, str]
) -> None:
    every(60, task="tests.fake_jobs.plain", args="[21]", last_run_at=ago(minutes=2), **given)
    beat.step()
    assert f"a schedule may not give {next(iter(given))}" in caplog.text
    assert PeriodicTask.objects.get().total_run_count == 0
