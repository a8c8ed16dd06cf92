"""A row of django-celery-beat that its forms would have refused does not keep the others from firing."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cnaasjobs.db.clock import database_now
from jobs.beat import fire, recurring
from jobs.beat.recurring import Recurring
from jobs.models import Job
from tests.factory.broken_schedules import BROKEN, unreadable
from tests.factory.schedules import ago, by, every
from tests.services import PostgreSQL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


@pytest.fixture
def beat() -> Iterator[Recurring]:
    beat = Recurring()
    yield beat
    beat.close()


@pytest.mark.parametrize("what", BROKEN)
def test_the_other_schedules_fire_beside_a_broken_one(beat: Recurring, what: str) -> None:
    every(60, name="a good one", last_run_at=ago(minutes=2))
    BROKEN[what]()
    every(60, name="one after it", last_run_at=ago(minutes=2))
    beat.step()
    fired = set(Job.objects.values_list("scheduled_by", flat=True))
    assert {by("a good one"), by("one after it")} <= fired
    PeriodicTask.objects.exclude(name="broken").update(last_run_at=ago(minutes=2))
    Recurring().step()  # a Beat that is started beside it
    assert Job.objects.filter(scheduled_by=by("a good one")).count() == 2


def test_the_other_schedules_fire_beside_a_row_that_cannot_be_read_at_all(beat: Recurring) -> None:
    every(60, name="a good one", last_run_at=ago(minutes=2))
    unreadable()
    beat.step()
    beat.step()
    assert [job.scheduled_by for job in Job.objects.all()] == [by("a good one")]


@pytest.mark.needs("postgresql")
def test_a_row_that_somebody_holds_is_tried_again(beat: Recurring, postgresql: PostgreSQL) -> None:
    every(60, name="held", last_run_at=ago(minutes=2))
    every(60, name="a good one", last_run_at=ago(minutes=2))
    somebody = postgresql.connect()
    somebody.cursor().execute("BEGIN; SELECT 1 FROM django_celery_beat_periodictask WHERE name = 'held' FOR UPDATE")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        pause = beat.step()
        assert [job.scheduled_by for job in Job.objects.all()] == [by("a good one")]
        assert pause == recurring._RETRY_SECONDS, "not at once, again and again"
    finally:
        somebody.close()
    beat.step()
    assert Job.objects.count() == 2


def test_one_that_cannot_be_stored_now_stays_due(beat: Recurring, monkeypatch: pytest.MonkeyPatch) -> None:
    row = every(60, last_run_at=ago(minutes=2))

    def away(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(fire, "_schedule_job", away)
        with pytest.raises(OperationalError):
            beat.step()
    row.refresh_from_db()
    assert row.last_run_at is not None
    assert row.last_run_at < database_now() - timedelta(minutes=1)


def test_intervals_are_still_what_they_were() -> None:
    assert str(IntervalSchedule(every=10, period="minutes")) == "every 10 minutes"
