"""A scope limits what one can pass on: limited users grant nothing wider, and nobody widens their own scope."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from jobs.models import AuditEntry, GroupScope
from tests.admin.conftest import Admin, AdminOf
from tests.admin.test_delegation import account_form

SCOPES = "/jobs/groupscope/"
ACCOUNTS = ("auth.view_user", "auth.change_user", "auth.view_group", "auth.change_group", "knox.add_authtoken")
EDITS_SCOPES = tuple(f"jobs.{verb}_groupscope" for verb in ("view", "add", "change", "delete"))


def group(name: str, *, scope: str | None = None, permission: str = "add_job") -> Group:
    made = Group.objects.create(name=name)
    made.permissions.add(Permission.objects.get(codename=permission))
    if scope is not None:
        GroupScope.objects.create(group=made, device_groups=scope)
    return made


@pytest.fixture
def clerk(admin_of: AdminOf) -> Admin:
    """May change accounts, tokens and scopes, and start jobs for the devices of the north."""
    admin = admin_of(*ACCOUNTS, *EDITS_SCOPES, name="clerk")
    admin.user.groups.add(group("north", scope="north\nnorth-east"))
    return admin


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


@pytest.mark.parametrize(("scope", "may"), [("north", True), ("south", False), ("north\nsouth", False), (None, False)])
def test_a_group_is_given_to_others_if_it_reaches_no_further(
    clerk: Admin, bob: User, scope: str | None, may: bool
) -> None:
    other = group("other", scope=scope)
    page = clerk.post(f"/auth/user/{bob.pk}/change/", account_form(bob, groups=[other.pk]))
    assert ("not one of the available choices" in page) is not may
    assert bob.groups.filter(pk=other.pk).exists() is may
    status = 200 if may else 403
    clerk.post(f"/auth/group/{other.pk}/change/", {"name": "renamed", "permissions": []}, status=status)


def test_a_limited_user_grants_no_permission_outside_a_group_for_it_would_reach_everywhere(
    clerk: Admin, bob: User
) -> None:
    given = Permission.objects.get(codename="add_job").pk
    page = clerk.post(f"/auth/user/{bob.pk}/change/", account_form(bob, user_permissions=[given]))
    assert "not one of the available choices" in page
    assert not bob.user_permissions.exists()


@pytest.mark.parametrize(("scope", "may"), [("north-east", True), ("south", False), (None, False)])
def test_a_token_reaches_no_further_than_its_maker(clerk: Admin, bob: User, scope: str | None, may: bool) -> None:
    bob.groups.add(group("other", scope=scope))
    page = clerk.post("/knox/authtoken/add/", {"user": str(bob.pk)})
    assert ("New token of bob" in page) is may
    assert ("bob may do more than you: jobs.add_job" in page) is not may


def test_nobody_widens_their_own_scope(clerk: Admin) -> None:
    mine = clerk.user.groups.get()
    for path in (f"{SCOPES}{mine.pk}/change/", f"{SCOPES}{mine.pk}/delete/"):
        clerk.post(path, {"device_groups": "everything", "post": "yes"}, status=403)
    other = group("other")
    assert "Select a valid choice" in clerk.post(f"{SCOPES}add/", {"group": str(other.pk), "device_groups": "x"})
    assert GroupScope.objects.get().device_groups == "north\nnorth-east"


def test_a_user_who_reaches_everywhere_may_set_a_scope(admin_of: AdminOf, clerk: Admin) -> None:
    strong = admin_of(*EDITS_SCOPES, "jobs.add_job", name="strong")
    other = group("other")
    form: dict[str, Any] = {
        "group": str(other.pk),
        "device_groups": " b \r\n\r\na",
        "device_types": "",
        "functions": "",
    }
    assert "Name at least one" in strong.post(f"{SCOPES}add/", {**form, "device_groups": " "})
    strong.post(f"{SCOPES}add/", form)
    assert other.scope.device_groups == "a\nb"
    strong.post(f"{SCOPES}{other.pk}/change/", {"device_groups": "c", "device_types": "DIST", "functions": "f"})
    told = AuditEntry.objects.filter(who="strong").order_by("id").values_list("action", "detail")
    assert list(told)[-2:] == [
        ("made", "scope of other: device groups a, b"),
        ("changed", "scope of other: device groups c; device types DIST; functions f"),
    ]
    stronger = group("stronger", permission="abort_job")
    assert "Select a valid choice" in strong.post(f"{SCOPES}add/", {**form, "group": str(stronger.pk)})
