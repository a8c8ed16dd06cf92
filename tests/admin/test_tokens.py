"""API tokens in the admin: shown once, never listed by their digests, revoked by deleting them."""

import re
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

from tests.admin.conftest import Admin, AdminOf

LIST = "/knox/authtoken/"


def _made(boss: Admin, user: User) -> str:
    page = boss.post(f"{LIST}add/", {"user": str(user.pk)})
    (text,) = re.findall(r"\b[0-9a-f]{64}\b", page)
    return str(text)


def test_a_token_is_shown_once_and_works_until_it_is_deleted(boss: Admin, settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    text = _made(boss, boss.user)
    api = Client(headers={"Authorization": f"Bearer {text}"})
    assert api.get("/api/v1.0/jobs").status_code == 200
    row = AuthToken.objects.get()
    page = boss.raw(LIST) + boss.raw(f"{LIST}{row.pk}/change/")
    assert text not in page
    assert row.token_key in page
    assert row.expiry is not None
    assert timedelta(days=364) < row.expiry - row.created < timedelta(days=366)
    boss.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert api.get("/api/v1.0/jobs").status_code == 401


def test_the_form_says_when_a_token_ends(boss: Admin, settings: Any) -> None:
    settings.CNAASJOBS_TOKEN_DAYS = 7
    assert "In UTC. If left empty, it expires in 7 days." in boss.get(f"{LIST}add/")


def test_its_text_is_in_one_answer_and_nowhere_else(boss: Admin) -> None:
    answer = boss.client.post(f"/admin{LIST}add/", {"user": str(boss.user.pk)})
    (text,) = re.findall(r"\b[0-9a-f]{64}\b", answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    assert {*answer.cookies} <= {"csrftoken", "sessionid"}, "a message would be one, packed"
    kept = [str(row) for model in apps.get_models() for row in model._default_manager.values_list()]
    kept += [str(session.get_decoded()) for session in Session.objects.all()]
    assert AuthToken.objects.count() == 1
    assert [row for row in kept if text in row] == []


def test_an_ended_token_says_so_and_none_is_changed(boss: Admin) -> None:
    AuthToken.objects.create(boss.user)
    assert "ended" not in boss.get(LIST)
    AuthToken.objects.update(expiry=timezone.now() - timedelta(days=1))
    row = AuthToken.objects.get()
    assert "ended" in boss.get(LIST)
    boss.post(f"{LIST}{row.pk}/change/", {"expiry_0": "2099-01-01", "expiry_1": "00:00"}, status=403)


def test_a_user_who_may_only_view_tokens_can_make_none(admin_of: AdminOf, boss: Admin) -> None:
    viewer = admin_of("knox.view_authtoken")
    viewer.get(LIST)
    viewer.post(f"{LIST}add/", {"user": str(boss.user.pk)}, status=403)
    assert not AuthToken.objects.exists()


def test_nobody_gives_what_they_do_not_have(admin_of: AdminOf, boss: Admin) -> None:
    may_make = ("knox.add_authtoken", "knox.view_authtoken", "jobs.view_job", "auth.view_user")
    maker = admin_of(*may_make, name="maker")
    stronger = admin_of("jobs.add_job", name="stronger")
    weaker = admin_of("jobs.view_job", name="weaker")
    for other, words in ((boss, "is a superuser"), (stronger, "may do more than you: jobs.add_job")):
        assert words in maker.post(f"{LIST}add/", {"user": str(other.user.pk)})
    assert not AuthToken.objects.exists()
    for allowed in (weaker, maker):
        _made(maker, allowed.user)
    assert AuthToken.objects.count() == 2
    another = admin_of(name="root")
    User.objects.filter(pk=another.user.pk).update(is_superuser=True)
    assert "is a superuser" in boss.post(f"{LIST}add/", {"user": str(another.user.pk)})
