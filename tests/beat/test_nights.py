"""A Beat through daylight-saving nights, on a clock that the test moves."""

from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from jobs.beat.recurring import Recurring
from jobs.models import Job
from tests.factory import daily

pytestmark = pytest.mark.django_db(transaction=True)

SPRING = datetime(2026, 3, 28, 20, tzinfo=UTC)  # Stockholm: 02:00 is followed by 03:00 at 01:00 UTC on the 29th
AUTUMN = datetime(2026, 10, 24, 20, tzinfo=UTC)  # 03:00 is followed by 02:00 at 01:00 UTC on the 25th


class Night:
    """Beats that all look every few minutes from an evening to the next morning."""

    def __init__(self, evening: datetime, *, beats: int = 2) -> None:
        self.now = evening
        PeriodicTask.objects.update(date_changed=evening, last_run_at=evening - timedelta(hours=1))
        self.beats = [Recurring(now=lambda: self.now) for _ in range(beats)]
        self.fired: list[str] = []

    def pass_by(self, *, hours: float = 12, asleep: tuple[int, int] = (0, 0)) -> list[str]:
        """The UTC times at which jobs were made. No Beat runs between the two UTC hours of ``asleep``."""
        end = self.now + timedelta(hours=hours)
        while self.now < end:
            if not asleep[0] <= self.now.hour < asleep[1]:
                self._look()
            self.now += timedelta(minutes=5)
        return self.fired

    def _look(self) -> None:
        before = Job.objects.count()
        for beat in self.beats:
            beat.step()
        self.fired += [f"{self.now:%H:%M}"] * (Job.objects.count() - before)


def test_two_beats_together_fire_a_time_in_the_missing_hour_once_after_it() -> None:
    daily(2, 30, zone="Europe/Stockholm")
    assert Night(SPRING).pass_by() == ["01:30"]


def test_two_beats_together_fire_a_time_in_the_doubled_hour_once() -> None:
    daily(2, 30, zone="Europe/Stockholm")
    assert Night(AUTUMN).pass_by() == ["00:30"]


@pytest.mark.parametrize("evening", [SPRING, AUTUMN])
def test_what_was_due_in_a_night_without_beat_fires_once(evening: datetime) -> None:
    daily(2, 30, zone="Europe/Stockholm")
    assert Night(evening).pass_by(asleep=(0, 5)) == ["05:00"]


def test_the_clock_set_back_an_hour_after_a_fire_does_not_repeat_it() -> None:
    daily(22, 0)
    night = Night(SPRING)
    assert night.pass_by(hours=3) == ["22:00"]
    night.now -= timedelta(hours=1, minutes=30)  # 21:30 again
    assert night.pass_by(hours=3) == ["22:00"]


def test_the_clock_set_an_hour_ahead_and_back_fires_once() -> None:
    daily(22, 0)
    night = Night(SPRING)
    night.now += timedelta(hours=2, minutes=30)
    assert night.pass_by(hours=0.2) == ["22:30"]
    night.now -= timedelta(hours=1)
    assert night.pass_by(hours=3) == ["22:30"]
