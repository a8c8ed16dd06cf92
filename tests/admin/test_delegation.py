"""Nobody can grant more than they have: users with few permissions change accounts, groups and schedules."""

from typing import Any

import pytest
from celery import current_app
from django.contrib.auth.models import Group, Permission, User
from django_celery_beat.models import PeriodicTask

from cnaasjobs.identity.models import Identity
from jobs.beat.ownership import FROM_SETTINGS, owner_of
from jobs.models import AuditEntry, Job, ScheduleOwner
from jobs.rights import roles
from jobs.rights.roles import ADMIN, OPERATOR, group_of
from tests import fake_jobs
from tests.admin.conftest import Admin, AdminOf
from tests.factory import every

ACCOUNTS = ("auth.view_user", "auth.add_user", "auth.change_user", "auth.view_group", "auth.change_group")
SCHEDULES = ("django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask")


@pytest.fixture
def clerk(admin_of: AdminOf) -> Admin:
    """May change accounts, and look at jobs."""
    return admin_of(*ACCOUNTS, "jobs.view_job", name="clerk")


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def account_form(user: User, **changed: Any) -> dict[str, Any]:
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {"username": user.username, "is_active": "on", "is_staff": "on", **joined, **changed}


@pytest.mark.parametrize("state", ["superuser", "stronger", "stronger, inactive"])
def test_a_stronger_account_can_not_be_taken_over(clerk: Admin, admin_of: AdminOf, state: str) -> None:
    other = admin_of("jobs.view_job" if state == "superuser" else "jobs.add_job", name="other").user
    other.is_superuser, other.is_active = state == "superuser", "inactive" not in state
    other.save()
    password = {"password1": "entirely new words", "password2": "entirely new words", "usable_password": "true"}
    clerk.post(f"/auth/user/{other.pk}/password/", password, status=403)
    clerk.post(f"/auth/user/{other.pk}/change/", account_form(other, email="clerk@x.org"), status=403)
    other.refresh_from_db()
    assert (other.email, other.check_password("correct horse")) == ("", True)


def test_a_weaker_one_may_be_given_what_one_has(clerk: Admin) -> None:
    weaker = User.objects.create_user("weaker", is_staff=True)
    strong = Group.objects.create(name="strong")
    strong.permissions.add(permission("jobs.abort_job"))
    has, has_not = permission("jobs.view_job"), permission("jobs.add_job")
    path = f"/auth/user/{weaker.pk}/change/"
    for more in ({"user_permissions": [has_not.pk]}, {"groups": [strong.pk]}):
        assert "not one of the available choices" in clerk.post(path, account_form(weaker, **more))
    clerk.post(path, account_form(weaker, user_permissions=[has.pk], is_superuser="on"))
    weaker = User.objects.get(pk=weaker.pk)
    assert weaker.get_all_permissions() == {"jobs.view_job"}
    assert not weaker.is_superuser


def test_nobody_can_grant_themselves_more(clerk: Admin) -> None:
    me = clerk.user
    everything = [permission(name).pk for name in (*ACCOUNTS, "jobs.view_job", "jobs.add_job")]
    clerk.post(f"/auth/user/{me.pk}/change/", account_form(me, user_permissions=everything, is_superuser="on"))
    me = User.objects.get(pk=me.pk)
    assert not me.is_superuser
    assert not me.has_perm("jobs.add_job")


def test_a_group_gets_only_what_one_has(clerk: Admin) -> None:
    mine, strong = Group.objects.create(name="mine"), Group.objects.create(name="strong")
    strong.permissions.add(permission("jobs.add_job"))
    clerk.post(f"/auth/group/{strong.pk}/change/", {"name": "strong", "permissions": []}, status=403)
    form = {"name": "mine", "permissions": [permission("jobs.add_job").pk]}
    assert "not one of the available choices" in clerk.post(f"/auth/group/{mine.pk}/change/", form)
    clerk.post(f"/auth/group/{mine.pk}/change/", {**form, "permissions": [permission("jobs.view_job").pk]})
    assert [each.codename for each in mine.permissions.all()] == ["view_job"]


def test_the_role_admin_makes_users_and_tokens_within_its_own_rights(admin_of: AdminOf) -> None:
    roles.renew()
    admin, weaker, strong = admin_of(name="admin"), User.objects.create_user("weaker"), Group.objects.create(name="g")
    admin.user.groups.add(group_of(ADMIN))
    strong.permissions.add(permission("auth.delete_user"))
    path = f"/auth/user/{weaker.pk}/change/"
    assert "not one of the available choices" in admin.post(path, account_form(weaker, groups=[strong.pk]))
    admin.post(path, account_form(weaker, groups=[group_of(OPERATOR).pk], is_superuser="on"))
    weaker = User.objects.get(pk=weaker.pk)
    assert list(weaker.groups.all()) == [group_of(OPERATOR)]
    assert not weaker.is_superuser
    assert "New token of weaker" in admin.post("/knox/authtoken/add/", {"user": str(weaker.pk)})
    weaker.groups.add(strong)
    assert "weaker may do more than you: auth.delete_user" in admin.post(
        "/knox/authtoken/add/", {"user": str(weaker.pk)}
    )


def test_a_superuser_may_do_all_of_it(boss: Admin) -> None:
    other = User.objects.create_user("other", is_staff=True)
    given = [permission("jobs.add_job").pk]
    boss.post(f"/auth/user/{other.pk}/change/", account_form(other, user_permissions=given, is_superuser="on"))
    other = User.objects.get(pk=other.pk)
    assert other.is_superuser
    assert [each.codename for each in other.user_permissions.all()] == ["add_job"]


# --- schedules --------------------------------------------------------------------------------------------------------


def chosen(row: PeriodicTask, action: str) -> dict[str, Any]:
    return {"action": action, "_selected_action": [str(row.pk)]}


LIST = "/django_celery_beat/periodictask/"


def test_only_a_user_who_may_start_a_job_enables_its_schedule(admin_of: AdminOf) -> None:
    row = every(60, task="tests.fake_jobs.nothing", enabled=False)
    editor, starter = admin_of(*SCHEDULES, name="editor"), admin_of(*SCHEDULES, "jobs.add_job", name="starter")
    assert "it needs the permission jobs.add_job" in editor.post(LIST, chosen(row, "enable_tasks"))
    assert not PeriodicTask.objects.get(pk=row.pk).enabled
    AuditEntry.objects.all().delete()
    assert "1 schedule enabled" in starter.post(LIST, chosen(row, "enable_tasks"))
    assert "1 schedule disabled" in editor.post(LIST, chosen(row, "disable_tasks"))
    assert not PeriodicTask.objects.get(pk=row.pk).enabled
    assert list(AuditEntry.objects.order_by("id").values_list("who", "action", "detail")) == [
        ("starter", "changed", "schedule often of tests.fake_jobs.nothing: enabled"),
        ("editor", "changed", "schedule often of tests.fake_jobs.nothing: disabled"),
    ]


def test_a_schedule_needs_the_permission_that_its_job_names(admin_of: AdminOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(current_app.tasks["tests.fake_jobs.nothing"]), "permission", "jobs.abort_job")
    row = every(60, task="tests.fake_jobs.nothing", enabled=False)
    starter = admin_of(*SCHEDULES, "jobs.add_job", name="starter")
    for action in ("run_now", "enable_tasks"):
        assert "it needs the permission jobs.abort_job" in starter.post(LIST, chosen(row, action))
    assert not Job.objects.exists()
    starter.user.user_permissions.add(permission("jobs.abort_job"))
    assert "scheduled job" in starter.post(LIST, chosen(row, "run_now"))


def test_a_rule_moves_the_schedules_that_go_by_it(admin_of: AdminOf) -> None:
    row = every(3600, task="tests.fake_jobs.nothing")
    may = ("django_celery_beat.view_intervalschedule", "django_celery_beat.change_intervalschedule")
    path, form = f"/django_celery_beat/intervalschedule/{row.interval_id}/change/", {"every": "1", "period": "seconds"}
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    admin_of(*may, name="editor").post(path, form | inline, status=403)
    AuditEntry.objects.all().delete()
    admin_of(*may, "jobs.add_job", name="starter").post(path, form | inline)
    row.interval.refresh_from_db()
    assert (row.interval.every, row.interval.period) == (1, "seconds")
    assert ("starter", "changed", "interval every second") in AuditEntry.objects.values_list("who", "action", "detail")


@pytest.mark.django_db
def test_a_schedule_of_the_settings_belongs_to_whoever_saved_it(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    row = every(60, name="nightly", task="tests.fake_jobs.nothing")
    monkeypatch.setitem(current_app.conf.beat_schedule, "nightly", {})
    assert owner_of(row, fake_jobs.nothing, {}) == (FROM_SETTINGS, None)
    ann = User.objects.create_user("ann")
    ScheduleOwner.objects.create(schedule=row, user=ann, name="ann")
    with pytest.raises(Exception, match="may no longer start it"):
        owner_of(row, fake_jobs.nothing, {})


def test_a_user_of_the_identity_provider_can_be_deactivated_and_keeps_the_name(boss: Admin) -> None:
    user = User.objects.create_user("ann/login.example.org")
    Identity.objects.create(issuer="https://login.example.org/net", subject="4711", user=user)
    path = f"/auth/user/{user.pk}/change/"
    assert "4711 of https://login.example.org/net" in boss.get(path)
    boss.post(path, {"username": "boss2", "date_joined_0": "2026-11-26", "date_joined_1": "12:00:00"})
    user.refresh_from_db()
    assert (user.is_active, user.username) == (False, "ann/login.example.org")
