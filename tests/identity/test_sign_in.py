"""Signing in at the identity provider, by a browser, over HTTP with a provider that checks what it is asked."""

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from cnaasjobs.api import throttle
from cnaasjobs.identity.models import Identity
from cnaasjobs.secrecy import mask
from tests.api.conftest import Api
from tests.identity.issuer import ISSUER, claims, ec_key, signed
from tests.identity.openid import CLIENT, SECRET, OpenId, openid_provider
from tests.identity.test_verification import part

pytestmark = pytest.mark.django_db

FAILED = "/sign-in?provider_failed"


@pytest.fixture
def openid(settings: Any) -> Iterator[OpenId]:
    with openid_provider() as provider:
        settings.CNAASJOBS_REQUIRE_TOKEN = True
        settings.CNAASJOBS_JWT_ISSUER = ISSUER
        settings.CNAASJOBS_JWT_KEYS_URL = f"{provider.url}/keys"
        settings.CNAASJOBS_JWT_GROUPS = {"noc": "readers"}
        settings.CNAASJOBS_OIDC_CLIENT_ID, settings.CNAASJOBS_OIDC_CLIENT_SECRET = CLIENT, SECRET
        settings.CNAASJOBS_OIDC_AUTHORIZATION_URL = f"{provider.url}/authorize"
        settings.CNAASJOBS_OIDC_TOKEN_URL = f"{provider.url}/token"
        settings.AUTHENTICATION_BACKENDS = [
            *settings.AUTHENTICATION_BACKENDS,
            "cnaasjobs.identity.sign_in.ProviderBackend",
        ]
        Group.objects.create(name="readers").permissions.set(Permission.objects.filter(codename="view_job"))
        yield provider


def at_provider(url: str) -> str:
    """The browser is sent to the provider; where it is sent back to."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return str(answer.headers["Location"])


def begin(browser: Client, target: str = "") -> str:
    """Where the provider sends it back to."""
    response = browser.get(f"/sign-in/provider{target}")
    assert response.status_code == 302
    back = urlsplit(at_provider(response["Location"]))
    assert (back.netloc, back.path) == ("testserver", "/sign-in/provider/back")
    return f"{back.path}?{back.query}"


def sign_in(browser: Client, target: str = "") -> str:
    """Where it lands."""
    return str(browser.get(begin(browser, target))["Location"])


def user_of(browser: Client) -> User | None:
    found: Any = browser.get("/sign-in").wsgi_request.user
    return User.objects.get(pk=found.pk) if found.is_authenticated else None


def test_somebody_of_the_provider_is_signed_in(openid: OpenId) -> None:
    openid.claims = {"groups": ["noc"]}
    browser = Client()
    page = browser.get("/sign-in?next=/jobs%3Fq%3Da%26b").content.decode()
    assert 'href="/sign-in/provider?next=%2Fjobs%3Fq%3Da%26b"' in page
    assert sign_in(browser, "?next=%2Fjobs%3Fq%3Da") == "/jobs?q=a"
    user = user_of(browser)
    assert user is not None
    assert user == Identity.objects.get(issuer=ISSUER, subject="4711").user
    assert (user.username, user.is_staff, user.is_superuser) == ("ann/login.example.org", False, False)
    assert browser.get("/jobs").status_code == 200
    assert browser.session.get_expiry_age() <= 12 * 3600
    assert openid.refused == []


def test_the_same_person_comes_by_jwt(openid: OpenId, settings: Any) -> None:
    settings.CNAASJOBS_JWT_AUDIENCE = "cnaasjobs-api"
    openid.claims = {"groups": ["noc"]}
    sign_in(Client())
    assert Api(signed(groups=["noc"])).get("/jobs").status == 200
    assert User.objects.count() == 1


def test_an_id_token_is_no_token_of_the_api(openid: OpenId) -> None:
    assert Api(signed(aud=CLIENT)).get("/jobs").status == 401


def test_groups_follow_and_a_local_name_is_not_taken(openid: OpenId) -> None:
    local = User.objects.create_superuser("ann")
    openid.claims = {"groups": ["noc"]}
    browser = Client()
    sign_in(browser)
    openid.claims = {"groups": []}
    sign_in(other := Client())
    assert user_of(other) == user_of(browser) != local
    assert browser.get("/jobs").status_code == 403


def test_a_user_who_is_deactivated_is_signed_out_and_cannot_sign_in(openid: OpenId) -> None:
    browser = Client()
    sign_in(browser)
    User.objects.update(is_active=False)
    assert user_of(browser) is None
    assert sign_in(Client()) == FAILED


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil", "javascript:alert(1)"])
def test_sign_in_leads_to_no_other_site(openid: OpenId, elsewhere: str) -> None:
    assert sign_in(Client(), f"?next={elsewhere}") == "/"


def test_the_way_back_of_another_browser_signs_nobody_in(openid: OpenId) -> None:
    """An attacker who leads somebody to their own way back would have them work under the attacker's name."""
    back = begin(Client())
    victim = Client()
    assert victim.get(back)["Location"] == FAILED
    begin(victim)
    assert victim.get(back)["Location"] == FAILED
    assert user_of(victim) is None


def test_a_way_back_counts_once(openid: OpenId) -> None:
    browser = Client()
    back = begin(browser)
    assert browser.get(back)["Location"] == "/"
    browser.post("/sign-out")
    assert browser.get(back)["Location"] == FAILED


def test_a_page_of_others_signs_nobody_out(openid: OpenId) -> None:
    browser = Client()
    sign_in(browser)
    state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
    for query in ("error=access_denied", f"error=access_denied&state={state}", "", "code=x", "code=x&state=y"):
        assert browser.get(f"/sign-in/provider/back?{query}")["Location"] == FAILED
    assert user_of(browser) is not None


def test_a_code_in_the_forms_url_is_not_looked_at(openid: OpenId) -> None:
    query = begin(Client()).partition("?")[2]
    victim = Client()
    victim.post(f"/sign-in?{query}", {"username": "ann", "password": "wrong"})
    assert user_of(victim) is None
    assert len(openid.begun) == 1


def hmac_of_the_secret() -> str:
    head = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims(aud=CLIENT))}"
    return f"{head}.{part(hmac.digest(SECRET.encode(), head.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"nonce": "another"}, "made for another sign-in"),
        ({"nonce": None}, "made for another sign-in"),
        ({"azp": "another"}, "made for another client"),
        ({"aud": "another"}, "Audience"),
        ({"iss": "https://elsewhere"}, "Invalid issuer"),
        ({"exp": 1}, "Token expired"),
        ({"sub": None}, "missing the"),
    ],
)
def test_an_id_token_that_does_not_count_signs_nobody_in(
    openid: OpenId, caplog: pytest.LogCaptureFixture, said: dict[str, Any], words: str
) -> None:
    openid.claims = said
    browser = Client()
    assert sign_in(browser) == FAILED
    assert user_of(browser) is None
    assert any(words in getattr(line, "error", "") for line in caplog.records)
    assert "did not work" in browser.get(FAILED).content.decode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json.dumps({"id_token": hmac_of_the_secret()}).encode(), "must be made with ES256 or RS256"),
        (
            json.dumps({"id_token": f"{part({'alg': 'none'})}.{part(claims(aud=CLIENT))}."}).encode(),
            "must be made with",
        ),
        (b'{"id_token": null}', "no ID token"),
        (b"[]", "no ID token"),
        (b"<html>", "Expecting value"),
        (b"\xff", "can't decode"),
        (b" " * 300_000, "more than"),
    ],
)
def test_an_invalid_answer_of_the_provider_signs_nobody_in(
    openid: OpenId, caplog: pytest.LogCaptureFixture, answer: bytes, words: str
) -> None:
    openid.answer = answer
    assert sign_in(Client()) == FAILED
    assert any(words in getattr(line, "error", "") for line in caplog.records)
    assert not User.objects.exists()


def test_an_answer_signed_with_another_key_signs_nobody_in(openid: OpenId) -> None:
    openid.key = ec_key("strange")
    assert sign_in(Client()) == FAILED


def test_a_provider_that_does_not_answer_signs_nobody_in(openid: OpenId, settings: Any) -> None:
    browser = Client()
    back = begin(browser)
    settings.CNAASJOBS_OIDC_TOKEN_URL = "http://127.0.0.1:1/token"
    assert browser.get(back)["Location"] == FAILED


def test_a_wrong_client_secret_signs_nobody_in_and_the_right_one_is_masked(openid: OpenId, settings: Any) -> None:
    settings.CNAASJOBS_OIDC_CLIENT_SECRET = "wrong"
    assert sign_in(Client()) == FAILED
    assert len(openid.refused) == 1
    settings.CNAASJOBS_OIDC_CLIENT_SECRET = SECRET
    assert SECRET not in mask(f"the secret is {SECRET}")


def test_only_so_many_sign_ins_are_begun_from_one_address(openid: OpenId) -> None:
    for _ in range(throttle.SIGN_INS.amount):
        assert Client().get("/sign-in/provider")["Location"].startswith(openid.url)
    assert Client().get("/sign-in/provider")["Location"] == FAILED


def test_where_it_is_off_there_is_no_button_and_no_way(settings: Any) -> None:
    assert "provider" not in Client().get("/sign-in").content.decode()
    for path in ("/sign-in/provider", "/sign-in/provider/back?code=x&state=y"):
        assert Client().get(path).status_code == 404
