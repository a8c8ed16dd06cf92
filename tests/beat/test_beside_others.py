"""What happens to one recurring schedule while there are others."""

from typing import Any

import pytest
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.beat.recurring import Recurring
from jobs.models import Job
from tests.factory import ago, by, every

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def beat() -> Any:
    beat = Recurring()
    every(3600, name="other", last_run_at=ago(minutes=1))
    yield beat
    beat.close()


def _falls_due(row: PeriodicTask, beat: Recurring) -> list[str | None]:
    """Who started jobs, once it has fallen due (again)."""
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=ago(minutes=2))
    PeriodicTasks.update_changed()
    beat.step()
    return list(Job.objects.order_by("id").values_list("scheduled_by", flat=True))


def test_one_that_is_enabled_is_the_one_that_fires(beat: Recurring) -> None:
    one = every(60, name="one", enabled=False)
    PeriodicTask.objects.filter(pk=one.pk).update(date_changed=ago(days=30))
    beat.step()
    PeriodicTask.objects.filter(pk=one.pk).update(enabled=True)
    PeriodicTasks.update_changed()
    beat.step()
    assert {pk: entry.row.pk for pk, entry in beat._entries.items()}[one.pk] == one.pk
    assert _falls_due(one, beat) == [by("one")]


def test_one_that_has_fired_is_the_one_that_is_read_again(beat: Recurring) -> None:
    one = every(60, name="one", last_run_at=ago(minutes=2))
    beat.step()
    beat.step()
    assert {pk: entry.row.pk for pk, entry in beat._entries.items()}[one.pk] == one.pk
    assert _falls_due(one, beat) == [by("one"), by("one")]


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("_postgresql_to_use")
def test_one_that_can_never_be_stored_uses_up_its_turn_and_leaves_no_job(beat: Recurring, heard: list[Event]) -> None:
    last = ago(minutes=2)
    every(60, name="broken", last_run_at=last, total_run_count=2**31 - 1)  # PostgreSQL counts no further
    beat.step()
    assert [event.action for event in heard if event.fields.get("schedule")] == [JobAction.FIRE_FAILED]
    assert not Job.objects.exists()
    assert PeriodicTask.objects.get(name="broken").last_run_at != last
