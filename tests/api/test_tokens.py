"""Tokens are made, listed and revoked by manage.py and in the admin."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from knox.models import AuthToken

from tests.api.conftest import Api

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokens_required")]


def token(*arguments: str) -> str:
    output = StringIO()
    call_command("token", *arguments, stdout=output)
    return output.getvalue().strip()


def test_a_token_can_be_made_listed_used_and_revoked(user_with: Callable[..., User]) -> None:
    user_with("jobs.view_job", name="eva")
    text = token("create", "eva")
    assert Api(text).get("/jobs").status == 200
    line = token("list")
    assert "eva" in line
    assert "  ends 20" in line
    assert text not in line
    token_id = line.split()[0]
    assert token("list", "eva") == line
    assert token("list", "other") == ""
    assert "eva" in token("revoke", token_id)
    assert Api(text).get("/jobs").status == 401
    assert token("list") == ""


def test_a_token_can_be_made_with_an_end(user_with: Callable[..., User]) -> None:
    user_with("jobs.view_job", name="eva")
    text = token("create", "eva", "--days", "30")
    assert Api(text).get("/jobs").status == 200
    assert "ends 20" in token("list")


@pytest.mark.parametrize(
    "arguments", [("create", "nobody"), ("create", "eva", "--days", "0"), ("revoke", "x"), ("revoke", "")]
)
def test_what_cannot_be_done_is_reported(user_with: Callable[..., User], arguments: tuple[str, ...]) -> None:
    user_with(name="eva")
    with pytest.raises(CommandError):
        token(*arguments)


def test_admin_shows_a_new_token_once(client: Client, user_with: Callable[..., User]) -> None:
    client.force_login(User.objects.create_superuser("root"))
    user = user_with("jobs.view_job")
    page = client.post("/admin/knox/authtoken/add/", {"user": user.pk, "_continue": "1"}, follow=True).content.decode()
    (text,) = re.findall(r"\b[0-9a-f]{64}\b", page)
    assert Api(text).get("/jobs").status == 200
    row = AuthToken.objects.get()
    for path in ("/admin/knox/authtoken/", f"/admin/knox/authtoken/{row.pk}/change/"):
        page = client.get(path).content.decode()
        assert text not in page
        assert user.get_username() in page
    client.post(f"/admin/knox/authtoken/{row.pk}/delete/", {"post": "yes"})
    assert Api(text).get("/jobs").status == 401
