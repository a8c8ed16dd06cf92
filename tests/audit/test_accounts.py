"""Logins and changes of users, groups, tokens and schedules are in the audit trail; a new password ends tokens."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from knox.models import AuthToken

from jobs.models import AuditEntry
from tests.admin.conftest import Admin, boss
from tests.factory import every

__all__ = ["boss"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    """Beside another user, who has a token."""
    AuthToken.objects.create(User.objects.create_user("adam", password="other"))
    user = User.objects.create_user("ann", password="correct horse", is_staff=True)
    AuditEntry.objects.all().delete()
    return user


def deeds() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("who", "action", "detail"))


def test_a_login_and_a_failed_one_are_recorded(ann: User) -> None:
    client = Client(headers={"Host": "localhost"})
    form = {"username": "ann", "password": "wrong"}
    client.post("/admin/login/", form)
    client.post("/admin/login/", {**form, "username": "Hunter2!"})
    client.post("/admin/login/", {**form, "password": "correct horse"})
    assert deeds() == [("ann", "login failed", ""), ("unknown user Hu…", "login failed", ""), ("ann", "logged in", "")]
    assert set(AuditEntry.objects.values_list("origin", flat=True)) == {"127.0.0.1"}


def test_changes_of_accounts_say_whose_they_are(boss: Admin, ann: User) -> None:
    boss.post("/auth/group/add/", {"name": "operators"})
    boss.post(f"/auth/user/{ann.pk}/delete/", {"post": "yes"})
    found = deeds()
    assert ("boss", "made", "group operators") in found
    assert ("boss", "deleted", "user ann") in found


def test_rights_that_are_given_and_taken_are_recorded(ann: User) -> None:
    group, right = Group.objects.create(name="operators"), Permission.objects.get(codename="add_job")
    group.permissions.add(right)
    ann.groups.add(group)
    ann.user_permissions.set([right])
    ann.user_permissions.clear()
    details = [detail for _, _, detail in deeds()]
    assert "user ann: groups given: operators" in details
    assert "group operators: permissions given: Jobs | job | Can add job" in details
    assert "user ann: permissions all taken: all" in details


def test_changes_of_tokens_and_schedules_are_recorded(ann: User) -> None:
    AuthToken.objects.create(ann)
    row = every(3600)
    row.enabled = False
    row.save()
    row.delete()
    kinds = [(action, detail.partition(" ")[0]) for _, action, detail in deeds()]
    assert kinds == [
        ("made", "token"),
        ("made", "interval"),
        ("made", "schedule"),
        ("changed", "schedule"),
        ("deleted", "schedule"),
    ]


@pytest.mark.parametrize("change", [{"password": "new"}, {"password": None}, {"is_active": False}])
def test_a_new_password_and_a_deactivation_end_the_tokens(ann: User, change: dict[str, Any]) -> None:
    AuthToken.objects.create(ann)
    if "password" in change:
        ann.set_password(change["password"])
    else:
        ann.is_active = False
    ann.save()
    assert [token.user.username for token in AuthToken.objects.all()] == ["adam"]


def test_other_changes_of_a_user_leave_the_tokens(ann: User, settings: Any) -> None:
    AuthToken.objects.create(ann)
    ann.email = "ann@example.org"
    ann.save()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    before = ann.password
    Client(headers={"Host": "localhost"}).post("/admin/login/", {"username": "ann", "password": "correct horse"})
    ann.refresh_from_db()
    assert ann.password != before  # the same password is stored anew, under the better hash
    assert AuthToken.objects.filter(user=ann).exists()
    assert [(who, action) for who, action, _ in deeds()][2:] == [("ann", "logged in")]  # but nobody changed it


@pytest.mark.parametrize("change", [lambda user: user.set_password("new"), User.set_unusable_password])
def test_a_new_password_that_is_saved_by_itself_ends_the_tokens_too(ann: User, change: Callable[[User], None]) -> None:
    AuthToken.objects.create(ann)
    change(ann)
    ann.save(update_fields=["password"])
    assert not AuthToken.objects.filter(user=ann).exists()
    assert "changed" in [action for _, action, _ in deeds()]


def test_a_change_that_was_refused_is_recorded(ann: User, settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    _, token = AuthToken.objects.create(ann)
    AuditEntry.objects.all().delete()
    api = Client(headers={"Authorization": f"Bearer {token}"})
    assert api.get("/api/v1.0/jobs").status_code == 403  # to read changes nothing
    assert api.delete("/api/v1.0/joblocks", {"name": "devices"}, content_type="application/json").status_code == 403
    assert deeds() == [("ann", "refused", "DELETE /api/v1.0/joblocks: permission locks.clear_lock")]
