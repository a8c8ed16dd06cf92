"""``POST /auth`` and its JWTs: who gets one, how long it is valid, and what ends it early."""

import base64
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from cnaasjobs.api import throttle
from cnaasjobs.identity import own
from jobs.models import AuditEntry
from tests.api.conftest import Api, Reply
from tests.identity.issuer import ec_key, public_pem, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("login")]

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def ann(user_with: Callable[..., User]) -> User:
    return user_with("jobs.view_job", name="ann")


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def log_in(name: str = "ann", password: str = PASSWORD, **options: Any) -> Reply:
    return Api().post("/auth", headers=basic(name, password), **options)


def of_ann() -> str:
    return str(log_in().body["access_token"])


def again(text: str) -> Reply:
    return Api(text).post("/auth/refresh", {})


def test_a_name_and_a_password_are_answered_with_a_jwt_that_the_api_takes() -> None:
    reply = log_in()
    text = reply.body["access_token"]
    assert reply.data == {"access_token": text}
    assert Api(text).get("/jobs").status == 200
    assert Api(text).get("/joblocks").status == 403
    assert Api(text).get("/auth/identity").data == "ann"
    assert Api(text).get("/auth/identity").raw == b'"ann"'
    made = jwt.decode(text, public_pem(ec_key("login")), ["ES256"], audience=own.ISSUER)
    assert made["sub"] == "ann"
    assert made["exp"] - made["iat"] == 15 * 60


def test_it_is_refreshed_until_the_password_was_given_too_long_ago(settings: Any) -> None:
    text = of_ann()
    later = again(text).data["access_token"]
    assert later != text
    assert Api(later).get("/jobs").status == 200
    old = own.issued_to("ann", User.objects.get().password, logged_in=time.time() - 13 * 3600)
    assert Api(old).get("/jobs").status == 200
    reply = again(old)
    assert (reply.status, "more than 12 hours ago" in reply.message) == (401, True)
    kept = own.claims_of(own.issued_to("ann", User.objects.get().password, logged_in=1000))
    assert kept["auth_time"] == 1000
    once = own.claims_of(again(later).data["access_token"])
    assert once["auth_time"] == own.claims_of(text)["auth_time"], "each refresh counts from the password"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", signed(), signed(ec_key("login"), kid="first")])
def test_only_a_refresh_token_is_refreshed(text: str) -> None:
    assert again(text).status == 401


def test_a_jwt_of_a_provider_is_not_refreshed() -> None:
    assert again(signed()).message == "Only a token of POST /auth can be refreshed"


def test_an_api_token_is_not_refreshed(ann: User) -> None:
    assert again(AuthToken.objects.create(ann)[1]).status == 401


def test_a_jwt_ends_with_its_time(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    text = own.issued_to("ann", User.objects.get().password)
    monkeypatch.undo()
    assert (Api(text).get("/jobs").message, again(text).status) == ("Token expired", 401)


@pytest.mark.parametrize("call", [lambda text: Api(text).get("/jobs"), again])
def test_it_ends_with_the_account_and_with_the_password(ann: User, call: Callable[[str], Reply]) -> None:
    text = of_ann()
    User.objects.update(is_active=False)
    assert call(text).message == "The token's user is not active"
    User.objects.update(is_active=True)
    assert call(text).status == 200
    ann.set_password("another horse")
    ann.save()
    assert "password was changed" in call(text).message
    ann.set_password(PASSWORD)
    ann.save()
    assert "password was changed" in call(text).message, "another hash of the same"


def test_a_jwt_is_not_for_another_user_of_the_same_name(ann: User) -> None:
    text = of_ann()
    ann.delete()
    assert Api(text).get("/jobs").status == 401
    User.objects.create_superuser("ann", password=PASSWORD)
    assert "password was changed" in Api(text).get("/jobs").message


def test_it_survives_a_change_of_the_secret_key_while_that_is_a_fallback(settings: Any) -> None:
    text = of_ann()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert Api(text).get("/jobs").status == 401
    settings.SECRET_KEY_FALLBACKS = [former]
    assert Api(text).get("/jobs").status == 200


def test_a_jwt_made_with_another_key_is_refused() -> None:
    claims = own.claims_of(of_ann())
    kid = own.signing_key().kid
    forged = jwt.encode(claims, ec_key("strange"), "ES256", headers={"kid": kid})
    assert "signature is wrong" in Api(forged).get("/jobs").message
    hmac = jwt.api_jws.encode(b"{}", b"x" * 32, "HS256", {"kid": kid})
    assert "must be made with ES256" in Api(hmac).get("/jobs").message


@pytest.mark.usefixtures("accepted")
def test_a_provider_makes_none_of_ours_and_we_none_of_its() -> None:
    kid = own.signing_key().kid
    assert "signature is wrong" in Api(signed(kid=kid, iss=own.ISSUER, aud=own.ISSUER, sub="ann")).get("/jobs").message
    assert "Invalid issuer" in Api(signed(iss=own.ISSUER, sub="ann")).get("/jobs").message
    assert Api(of_ann()).get("/jobs").status == 200


def test_a_call_with_a_jwt_costs_one_statement_about_its_user() -> None:
    api = Api(of_ann())
    assert api.get("/jobs").status == 200
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/jobs").status == 200
    about_users = [each["sql"] for each in queries if any(w in each["sql"] for w in ("auth_", "EXECUTE login"))]
    assert len(about_users) == 1, about_users


@pytest.mark.parametrize("name", ["ann", "nobody", "gone", "provider/login.example.org", "a\x00b", "é", ""])
def test_a_wrong_password_takes_as_long_for_every_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is that of one hash, which is computed whoever it is."""
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    User.objects.create_user("provider/login.example.org")
    hashed = []
    hasher = type(hashers.get_hasher())
    real = hasher.encode

    def counted(self: Any, password: str, *args: Any, **options: Any) -> str:
        hashed.append(password)
        return real(self, password, *args, **options)

    monkeypatch.setattr(hasher, "encode", counted)
    reply = log_in(name, "wrong")
    assert (reply.status, reply.message) == (401, "Wrong name or password")
    assert len(hashed) == 1
    assert reply.headers["WWW-Authenticate"].startswith("xBasic"), "no window of the browser's"


def test_a_user_who_is_deactivated_gets_no_jwt() -> None:
    User.objects.update(is_active=False)
    assert log_in().status == 401


@pytest.mark.parametrize("header", ["", "Basic", "Basic x", "Basic a b", "Basic " + "A" * 5000, "Bearer x"])
def test_without_a_name_and_a_password_nobody_gets_a_jwt(header: str) -> None:
    assert Api().post("/auth", headers={"Authorization": header}).status == 401


def test_guessing_is_stopped_by_name_and_by_address() -> None:
    for number in range(throttle.LOGINS_OF_A_NAME.amount):
        assert log_in(password="wrong", REMOTE_ADDR=f"10.0.0.{number}").status == 401
    assert log_in(REMOTE_ADDR="10.0.1.1").status == 429
    throttle.forget()
    for number in range(throttle.LOGINS.amount):
        assert log_in(f"somebody{number}", "wrong").status == 401
    reply = log_in()
    assert (reply.status, reply.headers["Retry-After"]) == (429, "60")
    assert log_in(REMOTE_ADDR="10.0.1.1").status == 200


def test_the_audit_trail_has_who_logged_in_and_who_could_not() -> None:
    log_in()
    log_in(password="wrong")
    said = [(entry.action, entry.who) for entry in AuditEntry.objects.order_by("pk").filter(action__startswith="log")]
    assert said == [("logged in", "ann"), ("login failed", "ann")]


def test_in_development_a_jwt_is_made_and_refreshed_all_the_same(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = False
    text = of_ann()
    assert again(text).status == 200
    assert again("x").status == 401
    assert log_in(password="wrong").status == 401
    assert Api(text).get("/auth/identity").data == "dev"


@pytest.mark.parametrize(("method", "path"), [("POST", "/auth"), ("POST", "/auth/refresh"), ("GET", "/auth/identity")])
def test_where_the_login_is_off_nobody_gets_a_jwt_and_none_counts(settings: Any, method: str, path: str) -> None:
    text = of_ann()
    settings.CNAASJOBS_JWT_LOGIN = False
    reply = Api().request(method, path, {}, headers=basic("ann", PASSWORD))
    assert (reply.status, "CNAASJOBS_JWT_LOGIN" in reply.message) == (404, True)
    assert Api(text).get("/jobs").status == 401
