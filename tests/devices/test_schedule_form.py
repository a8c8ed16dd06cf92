"""A recurring sync in the admin: errors in its arguments use the names that the job's function uses."""

import pytest
from django.contrib.auth.models import User
from django_celery_beat.models import IntervalSchedule

from tests.admin.conftest import Admin
from tests.admin.test_recurring import errors


@pytest.mark.django_db
def test_wrong_arguments_are_answered_with_all_that_there_are() -> None:
    interval = IntervalSchedule.objects.create(every=10, period="minutes")
    form = {"name": "nightly", "task": "devices.tasks.sync_devices", "interval": str(interval.pk), "kwargs": "{}"}
    boss = Admin(User.objects.create_superuser("boss"))
    said = errors(boss, {**form, "args": "[]", "headers": "{}"})["kwargs"]
    assert "Exactly one of hostnames, device_type, group or all must be given" in said
    optional = ("Optional[Literal[0, 1, 2]]", "Literal[0, 1, 2] | None")  # before Python 3.14, and since
    assert any(f"confirm_mode: {kind} = None, plan: int = …)" in said for kind in optional)
