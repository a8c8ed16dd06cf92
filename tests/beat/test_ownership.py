"""A recurring schedule starts only what its owner may start at that time, and names the owner."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from jobs.beat.ownership import owner_of
from jobs.beat.recurring import Recurring
from jobs.errors import JobArgumentError
from jobs.models import AuditEntry, Job, ScheduleOwner
from tests import fake_jobs
from tests.factory import ago, every

pytestmark = pytest.mark.django_db(transaction=True)


def fire_all() -> None:
    beat = Recurring()
    beat.step()
    beat.close()


@pytest.fixture
def ann(settings: Any) -> User:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    user = User.objects.create_user("ann")
    user.user_permissions.add(Permission.objects.get(codename="add_job"))
    return user


def owned_by(user: User | None) -> Any:
    row = every(60, name="bob", last_run_at=ago(minutes=2))  # a name that could be a person's
    if user is not None:
        ScheduleOwner.objects.create(schedule=row, user=user, name=user.username)
    return row


def test_a_job_of_a_schedule_names_the_schedule_and_its_owner(ann: User) -> None:
    row = owned_by(ann)
    fire_all()
    job = Job.objects.get()
    assert job.scheduled_by == "schedule bob (ann)"
    entry = AuditEntry.objects.get(action="scheduled")
    assert (entry.who, entry.origin, entry.job_id) == ("schedule bob (ann)", "Beat", job.pk)
    assert owner_of(row, fake_jobs.nothing, {}) == ("ann", ann.pk)


def test_rights_are_looked_at_again(ann: User) -> None:
    row = owned_by(ann)
    ann.user_permissions.clear()
    with pytest.raises(JobArgumentError, match="may no longer start it"):
        owner_of(row, fake_jobs.nothing, {})
    fire_all()
    assert not Job.objects.exists()


@pytest.mark.parametrize("end", ["deactivated", "deleted"])
def test_a_schedule_whose_owner_is_gone_starts_nothing(ann: User, end: str) -> None:
    row = owned_by(ann)
    if end == "deleted":
        ann.delete()
    else:
        User.objects.filter(pk=ann.pk).update(is_active=False)
    with pytest.raises(JobArgumentError):
        owner_of(row, fake_jobs.nothing, {})


def test_a_schedule_without_an_owner_starts_nothing_where_tokens_are_required(ann: User, settings: Any) -> None:
    row = owned_by(None)
    with pytest.raises(JobArgumentError, match="has no owner"):
        owner_of(row, fake_jobs.nothing, {})
    settings.CNAASJOBS_REQUIRE_TOKEN = False
    assert owner_of(row, fake_jobs.nothing, {}) == ("nobody", None)
