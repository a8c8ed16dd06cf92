"""The roles: what each may do, and that what a person made of them stays."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models.signals import post_migrate

from cnaasjobs.events import Event, subscribe, unsubscribe
from jobs.models import AuditEntry, Role
from jobs.rights import roles
from jobs.rights.roles import ADMIN, OPERATOR, ROLES, VIEWER, group_of
from tests.emptying import empty

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _made() -> None:
    """A test of real processes may have emptied the tables."""
    roles.renew()


@pytest.fixture
def told() -> Iterator[list[Event]]:
    events: list[Event] = []
    subscribe(events.append)
    yield events
    unsubscribe(events.append)


def user_in(*names: str) -> User:
    user = User.objects.create_user("ann")
    user.groups.set([group_of(name) for name in names])
    return user


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (VIEWER, "jobs.view_job locks.view_lock", "jobs.add_job jobs.abort_job locks.clear_lock auth.view_user"),
        (OPERATOR, "jobs.view_job jobs.add_job jobs.abort_job", "locks.clear_lock knox.add_authtoken"),
        (ADMIN, "jobs.add_job locks.clear_lock knox.add_authtoken auth.change_user", "auth.change_group"),
    ],
)
def test_each_role_has_its_permissions_and_no_others(role: str, may: str, may_not: str) -> None:
    user = user_in(role)
    assert [name for name in may.split() if not user.has_perm(name)] == []
    assert [name for name in may_not.split() if user.has_perm(name)] == []


def test_each_role_has_all_of_the_one_before() -> None:
    assert ROLES[VIEWER] < ROLES[OPERATOR] < ROLES[ADMIN]


@pytest.mark.parametrize("role", ROLES)
def test_every_permission_of_a_role_exists(role: str) -> None:
    found = group_of(role).permissions.select_related("content_type")
    assert {f"{row.content_type.app_label}.{row.codename}" for row in found} == ROLES[role]


def test_a_new_permission_reaches_its_role_and_no_other_group(
    monkeypatch: pytest.MonkeyPatch, told: list[Event]
) -> None:
    own = Group.objects.create(name="night shift")
    own.permissions.add(permission("jobs.view_job"))
    monkeypatch.setitem(ROLES, VIEWER, ROLES[VIEWER] | {"auth.view_group"})
    for app in apps.get_app_configs():
        post_migrate.send(sender=app, app_config=app, verbosity=0, interactive=False, using="default", apps=apps)
    assert permission("auth.view_group") in group_of(VIEWER).permissions.all()
    assert list(own.permissions.all()) == [permission("jobs.view_job")]
    given = [event.fields for event in told if event.action == "role_given"]
    assert given == [{"role": VIEWER, "permissions": "auth.view_group"}]


def test_what_a_person_made_of_a_role_stays() -> None:
    group = group_of(OPERATOR)
    group.permissions.remove(permission("jobs.abort_job"))
    group.permissions.add(permission("auth.view_group"))
    group.name = "on call"
    group.save()
    roles.renew()
    group = group_of(OPERATOR)
    names = set(group.permissions.values_list("codename", flat=True))
    assert (group.name, "abort_job" in names, "view_group" in names) == ("on call", False, True)
    assert not Group.objects.filter(name=OPERATOR).exists()


def test_a_role_that_was_deleted_is_not_made_again() -> None:
    group_of(ADMIN).delete()
    roles.renew()
    assert Role.objects.get(pk=ADMIN).group is None
    assert not Group.objects.filter(name__startswith=ADMIN).exists()


def test_a_group_that_has_the_name_already_gets_nothing() -> None:
    Role.objects.filter(pk=ADMIN).delete()
    Group.objects.filter(name=ADMIN).delete()
    theirs = [Group.objects.create(name=name) for name in (ADMIN, "admin (cnaasjobs)")]
    roles.renew()
    assert [group.permissions.count() for group in theirs] == [0, 0]
    assert group_of(ADMIN).name == "admin (cnaasjobs 2)"
    assert group_of(ADMIN).permissions.count() == len(ROLES[ADMIN])


def test_the_audit_trail_blames_nobody_for_it() -> None:
    AuditEntry.objects.all().delete()
    Role.objects.all().delete()
    Group.objects.all().delete()
    AuditEntry.objects.all().delete()
    roles.renew()
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_test_did_to_the_roles_is_gone_with_its_rows() -> None:
    empty(connection)
    made = {name: {*group_of(name).permissions.values_list("codename", flat=True)} for name in ROLES}
    group_of(OPERATOR).permissions.clear()
    group_of(ADMIN).delete()
    Group.objects.create(name="noc")
    empty(connection)
    assert {name: {*group_of(name).permissions.values_list("codename", flat=True)} for name in ROLES} == made
    assert Group.objects.count() == len(ROLES)
