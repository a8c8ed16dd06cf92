"""The admin user of ``make run``: a password that nobody guesses, hashed quickly until somebody uses it."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from knox.models import AuthToken

from cnaasjobs.run.prepare import admin_user, api_token, prepare
from jobs.states import Status
from tests.factory import job_in

pytestmark = pytest.mark.django_db
USUAL = PBKDF2PasswordHasher.iterations


@pytest.fixture(autouse=True)
def _hashed_as_in_production(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]


def iterations() -> int:
    hashed = get_user_model().objects.get(username="admin").password
    return int(PBKDF2PasswordHasher().decode(hashed)["iterations"])


def test_a_random_password_is_hashed_once_until_somebody_logs_in(tmp_path: Path) -> None:
    made = admin_user(tmp_path)

    assert len(made["password"]) == 16
    assert iterations() == 1
    assert admin_user(tmp_path)["password"] == made["password"]
    assert iterations() == 1

    assert authenticate(username="admin", password="x" * 16) is None
    assert authenticate(username="admin", password=made["password"]) == get_user_model().objects.get(is_superuser=True)

    assert iterations() == USUAL
    assert admin_user(tmp_path)["password"] == made["password"]


def test_an_existing_password_may_be_a_word(tmp_path: Path) -> None:
    (tmp_path / "admin-password").write_text("secret\n")

    assert admin_user(tmp_path)["password"] == "secret"
    assert iterations() == USUAL


def test_it_is_not_shown_after_somebody_has_changed_it(tmp_path: Path) -> None:
    admin_user(tmp_path)
    user = get_user_model().objects.get(username="admin")
    user.set_password("another")
    user.save()

    assert admin_user(tmp_path)["password"] is None
    (tmp_path / "admin-password").unlink()
    assert admin_user(tmp_path)["password"] is None


def test_the_token_is_the_same_until_the_database_does_not_know_it(tmp_path: Path) -> None:
    admin_user(tmp_path)
    first = api_token(tmp_path)
    assert api_token(tmp_path) == first
    assert (tmp_path / "token").read_text() == f"{first}\n"
    assert AuthToken.objects.get().expiry is None

    AuthToken.objects.all().delete()
    assert first != api_token(tmp_path) == (tmp_path / "token").read_text().strip()


def test_a_key_for_logins_is_made_where_they_are_wanted_and_ones_own_is_not(tmp_path: Path, settings: Any) -> None:
    settings.CNAASJOBS_STATE_DIR = tmp_path
    for wanted, name in ((False, "login-key"), (True, "my-key"), (True, "login-key")):
        settings.CNAASJOBS_JWT_LOGIN, settings.CNAASJOBS_JWT_LOGIN_KEY_FILE = wanted, tmp_path / name
        assert prepare(with_token=False)["token"] is None
        assert (tmp_path / name).exists() == (wanted and name == "login-key")


def test_a_start_after_the_first_job_is_not_the_first(tmp_path: Path, settings: Any) -> None:
    settings.CNAASJOBS_STATE_DIR = tmp_path
    for is_first in (True, False):
        assert prepare(with_token=False)["is_first_start"] == is_first
        job_in(Status.FINISHED)
