"""A recurring schedule that its forms would have refused is shown, and can be corrected."""

import pytest
from django_celery_beat.models import CrontabSchedule

from tests.admin.conftest import Admin
from tests.factory.broken_schedules import BROKEN, crontab, interval, unreadable
from tests.factory.schedules import NOTHING, every

pytestmark = pytest.mark.django_db

LIST = "/django_celery_beat/periodictask/"
CRONTABS = "/django_celery_beat/crontabschedule/"


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_schedule_is_shown_with_its_rule_and_as_never_due_if_that_is_broken(boss: Admin, what: str) -> None:
    row = BROKEN[what]()
    page = boss.get(LIST)
    has_a_rule = what.startswith(("arguments", "a task", "headers", "a priority", "a clock"))
    assert ("broken" in page, "! never" in page) == (True, not has_a_rule)
    assert "broken" in boss.get(f"{LIST}{row.pk}/change/")
    for kind, related in (("crontab", row.crontab), ("interval", row.interval), ("solar", row.solar)):
        if related is not None:
            boss.get(f"/django_celery_beat/{kind}schedule/")
            boss.get(f"/django_celery_beat/{kind}schedule/{related.pk}/change/")


def test_one_that_cannot_be_read_at_all_is_named_and_hides_no_other(boss: Admin) -> None:
    every(60, name="a good one")
    row = unreadable()
    page = boss.get(LIST)
    assert "Schedule broken never runs, and can't be shown here" in page
    assert f"id {row.pk} of django_celery_beat_periodictask" in page
    assert "a good one" in page


def test_a_zone_that_is_unknown_is_named_and_mended(boss: Admin) -> None:
    row = crontab("timezone", "Mars/Olympus")
    page = boss.get(LIST)
    assert "never" in page
    assert "this machine does not know the time zone Mars/Olympus" in page
    change = f"{CRONTABS}{row.crontab_id}/change/"
    assert "Mars/Olympus: unknown to this machine" in boss.get(change)
    form = {"minute": "0", "hour": "3", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"}
    form |= {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    refused = boss.post(change, {**form, "timezone": "Mars/Olympus"})
    assert "This machine does not know the time zone Mars/Olympus: choose another" in refused
    assert "successfully" in boss.post(change, {**form, "timezone": "Europe/Stockholm"})
    assert str(CrontabSchedule.objects.get().timezone) == "Europe/Stockholm"
    assert "never" not in boss.get(LIST)


def test_an_invalid_period_is_refused_beside_its_field(boss: Admin) -> None:
    row = interval("period", "fortnights")
    form = {"name": "broken", "task": NOTHING, "interval": str(row.interval_id), "kwargs": "{}", "args": "[]"}
    assert "This interval makes no sense" in boss.post(f"{LIST}{row.pk}/change/", {**form, "headers": "{}"})
