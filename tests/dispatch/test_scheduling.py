"""Which jobs are accepted as rows, and which are refused with which message."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from cnaasjobs.db.clock import database_now
from jobs.broker import publisher
from jobs.dispatch import scheduling, sending
from jobs.errors import JobArgumentError
from jobs.models import Job
from jobs.schedulable import ScheduleOptions
from jobs.states import Status
from jobs.task import NextJob
from tests import fake_jobs
from tests.factory import claimed

pytestmark = pytest.mark.django_db(transaction=True)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def test_schedule_shows_all_arguments_and_the_time_of_the_request() -> None:
    before = database_now()
    row = scheduling.schedule(fake_jobs.echo, {"value": [1]}, scheduled_by="ann", comment="c", ticket_ref="T-1")
    assert row.start_arguments == '{"value": [1], "dry_run": false}'
    scheduling.schedule(fake_jobs.echo, {"value": nested(64)})
    assert before <= row.scheduled_time <= database_now()
    assert (row.scheduled_by, row.comment, row.ticket_ref) == ("ann", "c", "T-1")


def test_a_dry_run_says_so_in_its_name() -> None:
    names = [scheduling.schedule(fake_jobs.echo, {"value": 1, "dry_run": dry}).function_name for dry in (True, False)]
    assert names == ["echo (dry_run)", "echo"]


def test_delay_and_apply_async_make_a_row() -> None:
    assert fake_jobs.echo.delay(value=7).start_arguments == '{"value": 7, "dry_run": false}'
    assert fake_jobs.by_position.delay("a").start_arguments == '{"first": "a", "second": 2}'
    with pytest.raises(JobArgumentError, match="too many positional arguments"):
        fake_jobs.echo.delay(7)
    later = fake_jobs.echo.apply_async(kwargs={"value": 7}, countdown=3600)
    assert later.scheduled_time > database_now() + timedelta(minutes=59)
    assert later.dispatched_at is None


def test_an_option_of_celerys_that_a_job_cannot_honour_is_refused() -> None:
    with pytest.raises(JobArgumentError, match="option link does not apply"):
        fake_jobs.echo.apply_async(kwargs={"value": 7}, link=fake_jobs.plain.s())
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({}, "missing a required .*argument: 'value'"),
        ({"value": 1, "colour": "red"}, "got an unexpected keyword argument 'colour'"),
        ({"value": float("nan")}, "Out of range float values"),
        ({"value": b"x"}, "not JSON serializable"),
        ({"value": "a\x00b"}, "NUL character"),
        ({"value": "\udc00"}, "not Unicode"),
        *(({"value": nested(depth)}, "value is nested deeper than 64 levels") for depth in (65, 600, 100_000)),
        *(
            ({"value": 1, "dry_run": value}, f"dry_run is {value!r}: Input should be a valid boolean")
            for value in (None, "no", 0)
        ),
    ],
)
def test_an_argument_that_cannot_be_is_named_and_nothing_is_guessed(kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(JobArgumentError, match=words):
        scheduling.schedule(fake_jobs.echo, kwargs)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("comment", "x" * 256, "comment is longer than 255 characters"),
        ("ticket_ref", "x" * 33, "ticket_ref is longer than 32 characters"),
        ("comment", "a\x00", "comment contains a NUL character"),
    ],
)
def test_texts_that_do_not_fit_are_named(field: str, value: str, words: str) -> None:
    texts: dict[str, Any] = {field: value}
    with pytest.raises(JobArgumentError, match=words):
        scheduling.schedule(fake_jobs.nothing, {}, **texts)


def test_an_option_that_does_not_exist_is_refused() -> None:
    """Whether or not a type checker looked at the call."""
    misspelt: dict[str, Any] = {"coment": "new firmware"}
    for call in (
        lambda: scheduling.schedule(fake_jobs.nothing, {}, **misspelt),
        lambda: fake_jobs.nothing.schedule_many([{}], **misspelt),
        lambda: NextJob(task=fake_jobs.nothing, kwargs={}, **misspelt),
    ):
        with pytest.raises(TypeError, match="a job has no option coment"):
            call()
    assert not Job.objects.exists()


def test_every_option_stands_in_the_row() -> None:
    at = database_now() + timedelta(hours=1)
    options: ScheduleOptions = {
        "at": at,
        "scheduled_by": "ann",
        "comment": "c",
        "ticket_ref": "T-1",
        "queue": "slow",
        "priority": 7,
        "author_id": 5,
    }
    assert options.keys() == ScheduleOptions.__annotations__.keys()
    one = scheduling.schedule(fake_jobs.nothing, {}, **options)
    (many,) = fake_jobs.nothing.schedule_many([{}], **options)
    following = scheduling.schedule_next(NextJob(task=fake_jobs.nothing, kwargs={}, **options))
    for row in (one, many, following):
        stored = Job.objects.get(pk=row.pk)
        assert {**options, "at": stored.scheduled_time} == {
            name: getattr(stored, {"at": "scheduled_time"}.get(name, name)) for name in options
        }
        assert stored.scheduled_time == at


def test_a_time_in_the_past_is_now_and_a_naive_one_is_utc() -> None:
    past = scheduling.schedule(fake_jobs.nothing, {}, at=datetime(2020, 1, 1, tzinfo=UTC))
    assert past.scheduled_time > database_now() - timedelta(minutes=1)
    assert past.dispatched_at is not None
    naive = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    assert scheduling.schedule(fake_jobs.nothing, {}, at=naive).scheduled_time == naive.replace(tzinfo=UTC)


def test_schedule_many_is_all_or_none_and_in_order() -> None:
    with pytest.raises(JobArgumentError):
        scheduling.schedule_many(fake_jobs.echo, [{"value": 1}, {"nonsense": 2}])
    assert not Job.objects.exists()
    rows = scheduling.schedule_many(fake_jobs.echo, [{"value": number} for number in range(30)])
    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    stored = Job.objects.order_by("id").values_list("start_arguments", flat=True)
    assert list(stored) == [f'{{"value": {number}, "dry_run": false}}' for number in range(30)]


def _said(caplog: pytest.LogCaptureFixture) -> list[int]:
    """The jobs that the log calls scheduled."""
    return [record.job_id for record in caplog.records if getattr(record, "action", None) == "schedule"]  # type: ignore[attr-defined]


def test_a_rolled_back_schedule_leaves_nothing_and_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with transaction.atomic():
        scheduling.schedule(fake_jobs.nothing, {})
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    assert _said(caplog) == []


def test_the_log_tells_each_job_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO")
    jobs = scheduling.schedule_many(fake_jobs.nothing, [{}] * 1500)
    jobs.append(scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1)))
    monkeypatch.setattr("jobs.broker.publisher._broken_until", 0.0)  # as it is now, also after this test
    monkeypatch.setattr("jobs.broker.publisher._new_link", _no_broker)
    publisher.drop()
    jobs.append(scheduling.schedule(fake_jobs.nothing, {}))
    assert jobs[-1].status == Status.SCHEDULED
    assert _said(caplog) == [row.pk for row in jobs]


def _no_broker() -> None:
    raise ConnectionError("away")


def test_beat_takes_a_due_job_once() -> None:
    due = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    Job.objects.filter(pk=due.pk).update(scheduled_time=database_now() - timedelta(seconds=1))
    later = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    seconds = sending.seconds_to_next_due()
    assert seconds is not None
    assert seconds < 0
    assert sending.dispatch_due() == 1
    later.refresh_from_db()
    assert (later.status, later.dispatched_at) == (Status.SCHEDULED, None)


@pytest.mark.parametrize("priority", [-1, 10, 300])
def test_a_priority_that_no_broker_knows_is_refused(priority: int) -> None:
    with pytest.raises(JobArgumentError, match=f"priority {priority} must be from 0 to 9"):
        scheduling.schedule(fake_jobs.nothing, {}, priority=priority)
    assert not Job.objects.exists()


def test_the_databases_clock_decides_what_lies_in_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.dispatch.scheduling.database_now", lambda: database_now() - timedelta(hours=1))
    row = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() - timedelta(minutes=30))
    assert row.dispatched_at is None  # half an hour ahead, by a database whose clock is an hour behind ours


def test_a_jobs_own_check_is_asked_before_it_is_scheduled() -> None:
    with pytest.raises(JobArgumentError, match=r"fake_jobs\.checked: two is odd"):
        fake_jobs.checked.schedule(first=1, second=2)
    assert fake_jobs.checked.schedule(first=1, second=1).pk


def test_one_that_started_though_nobody_confirmed_its_message_stays_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    job = scheduling.schedule(fake_jobs.nothing, {})
    claimed(job)
    monkeypatch.setattr("jobs.broker.publisher.publish", lambda messages, **_: [each.job_id for each in messages])
    assert sending.send([sending.message_of(job)]) == 0
    job.refresh_from_db()
    assert job.dispatched_at is not None
