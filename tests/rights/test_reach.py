"""How far a permission reaches, and whether one reach covers another."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import GroupScope
from jobs.rights.reach import EVERYWHERE, Device, Limit, Reach, covers, limits_of, outside, reach_of

SW, D1 = Device("sw", frozenset({"building1", "access"}), "ACCESS"), Device("d1", frozenset({"dist"}), "DIST")


def limit(*, groups: str = "", types: str = "", functions: str = "") -> Limit:
    named = [text.replace(",", "\n") for text in (groups, types, functions)]
    return Limit.of(GroupScope(device_groups=named[0], device_types=named[1], functions=named[2]))


@pytest.mark.parametrize(
    ("limits", "left_out"),
    [
        ([limit(groups="building1")], ["d1"]),
        ([limit(types="dist")], ["sw"]),
        ([limit(groups="dist", types="access")], []),
        ([limit(groups="building2")], ["sw", "d1"]),
        ([limit(groups="building1"), limit(types="DIST")], []),
        ([limit(functions="sync_devices")], []),
        ([limit()], ["sw", "d1"]),
        ([], ["sw", "d1"]),
    ],
)
def test_a_scope_names_the_devices_that_are_outside_it(limits: list[Limit], left_out: list[str]) -> None:
    assert outside([SW, D1], limits) == left_out


def test_what_the_functions_of_a_scope_leave_of_its_devices() -> None:
    for tried in (limit(groups="building1", functions="f"), limit(types="access", functions="f")):
        assert tried.is_of_devices
        assert outside([SW, D1], [tried]) == ["d1"]


@pytest.mark.parametrize(
    ("functions", "has"),
    [
        ("", ["sync_devices", "sync_devices (dry_run)", "upgrade"]),
        ("sync_devices", ["sync_devices", "sync_devices (dry_run)"]),
        ("sync_devices (dry_run)", ["sync_devices (dry_run)"]),
    ],
)
def test_a_scope_allows_the_functions_that_it_names(functions: str, has: list[str]) -> None:
    tried = limit(groups="x", functions=functions)
    assert [name for name in ("sync_devices", "sync_devices (dry_run)", "upgrade") if tried.has_function(name)] == has


@pytest.mark.parametrize(
    ("one", "other", "is_covered"),
    [
        (EVERYWHERE, EVERYWHERE, True),
        (EVERYWHERE, (limit(groups="a"),), True),
        ((limit(groups="a"),), EVERYWHERE, False),
        ((limit(groups="a,b"),), (limit(groups="a"),), True),
        ((limit(groups="a"),), (limit(groups="a,b"),), False),
        ((limit(groups="a"), limit(groups="b")), (limit(groups="b"), limit(groups="a")), True),
        ((limit(groups="a", types="DIST"),), (limit(types="DIST", functions="f"),), True),
        ((limit(groups="a", functions="f"),), (limit(groups="a"),), False),
        ((limit(functions="f"),), (limit(groups="a", functions="f (dry_run)"),), True),
        ((limit(functions="f (dry_run)"),), (limit(functions="f"),), False),
        ((limit(groups="a"),), (limit(functions="f"),), False),
        ((limit(groups="a"),), (), True),
        ((limit(types="DIST"),), (limit(types="DIST,CORE"),), False),
    ],
)
def test_a_reach_covers_another_only_if_all_of_it_is_allowed(one: Reach, other: Reach, is_covered: bool) -> None:
    assert covers(one, other) is is_covered


# --- of users ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user("ann")


def may_start() -> Permission:
    return Permission.objects.get(codename="add_job")


def join(user: User, name: str, *, scope: str | None, may: str = "add_job") -> Group:
    group = Group.objects.create(name=name)
    group.permissions.add(Permission.objects.get(codename=may))
    if scope is not None:
        GroupScope.objects.create(group=group, device_groups=scope)
    user.groups.add(group)
    return group


def reach(user: User) -> Reach:
    fresh = User.objects.get(pk=user.pk)
    assert fresh.has_perm("jobs.add_job")
    return reach_of(fresh, "jobs.add_job")


def test_a_reach_is_the_union_of_the_groups_that_grant_the_permission(ann: User) -> None:
    join(ann, "north", scope="n")
    join(ann, "south", scope="s")
    join(ann, "of another permission", scope="all", may="abort_job")
    join(User.objects.create_user("bob"), "of another user", scope="his")
    found = reach(ann)
    assert found is not None
    assert sorted(min(limit.device_groups) for limit in found) == ["n", "s"]


def test_the_groups_that_a_jwt_names_are_the_user_s(ann: User) -> None:
    """Whatever groups the table has."""
    join(ann, "north", scope="n")
    south = join(User.objects.create_user("bob"), "south", scope="s")
    (found,) = limits_of(ann.pk, "jobs.add_job", [south.pk])
    assert found.device_groups == {"s"}
    assert limits_of(ann.pk, "jobs.add_job", []) == ()


@pytest.mark.parametrize("also", ["a group without a scope", "the permission itself", "superuser"])
def test_what_is_not_limited_anywhere_reaches_everywhere_and_costs_nothing(ann: User, also: str) -> None:
    join(ann, "north", scope="n")
    assert reach(ann) is not EVERYWHERE
    if also == "superuser":
        User.objects.filter(pk=ann.pk).update(is_superuser=True)
    elif also == "the permission itself":
        ann.user_permissions.add(may_start())
    else:
        join(ann, "everywhere", scope=None)
    fresh = User.objects.get(pk=ann.pk)
    fresh.has_perm("jobs.add_job")
    with CaptureQueriesContext(connection) as queries:
        assert reach_of(fresh, "jobs.add_job") is EVERYWHERE
    assert len(queries) == 0
