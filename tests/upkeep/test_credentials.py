"""Expired sessions, and tokens that expired long ago, are deleted; others are kept."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from knox.models import AuthToken

from cnaasjobs.db.clock import database_now
from jobs.models import AuditEntry, TokenMaker
from jobs.upkeep import credentials
from jobs.upkeep.runner import chores

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def session(key: str, *, over: timedelta) -> None:
    Session.objects.create(session_key=key, session_data="", expire_date=database_now() - over)


def token(user: User, *, ended: timedelta) -> str:
    row, _ = AuthToken.objects.create(user)
    AuthToken.objects.filter(pk=row.pk).update(expiry=database_now() - ended)
    TokenMaker.objects.create(token=row, maker_id=user.pk)
    return str(row.pk)


def test_what_does_not_count_any_more_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_BATCH", 2)
    ann = User.objects.create_user("ann", password="correct horse")
    browser = Client()
    browser.force_login(ann, "cnaasjobs.api.permissions.OneQueryBackend")
    for number in range(5):
        session(f"over{number}", over=timedelta(seconds=1))
    kept = {
        token(ann, ended=credentials.TOKENS_KEPT - timedelta(hours=1)),
        token(ann, ended=timedelta(hours=-1)),
        str(AuthToken.objects.create(ann, expiry=None)[0].pk),
    }
    gone = AuthToken.objects.get(pk=token(ann, ended=credentials.TOKENS_KEPT + timedelta(hours=1)))
    AuditEntry.objects.all().delete()
    assert credentials.forget() == 6
    assert [row.session_key for row in Session.objects.all()] == [browser.session.session_key]
    assert set(AuthToken.objects.values_list("pk", flat=True)) == kept
    assert TokenMaker.objects.count() == 2
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.origin, entry.action) == ("the platform", "Beat", "deleted")
    assert entry.detail == f"token {gone.token_key} of ann"
    assert credentials.forget() == 0


def test_upkeep_deletes_expired_credentials() -> None:
    session("over", over=timedelta(seconds=1))
    (step,) = (step for step in chores().steps if step.name == "credentials")
    step.call()
    assert not Session.objects.exists()
