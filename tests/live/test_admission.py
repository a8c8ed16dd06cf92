"""Who may listen: the API's credentials and permissions, when a connection is opened and afterwards."""

import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from knox.models import AuthToken

from cnaasjobs.identity import fetching, key_sources, own
from cnaasjobs.live import readers
from jobs.models import AuditEntry
from jobs.states import Status
from tests.factory import job_in
from tests.identity.issuer import AUDIENCE, ISSUER, Answering, ec_key, jwks, private_pem, serving, signed
from tests.live.conftest import Live
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _tokens_required(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True


@pytest.fixture
def user_with() -> Callable[..., User]:
    def make(*permissions: str) -> User:
        user = User.objects.create_user("ann", password="correct horse")
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return user

    return make


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {AuthToken.objects.create(user)[1]}"}


def test_nobody_listens_without_credentials_or_with_wrong_ones(live: Live) -> None:
    assert live.stream().status == 401
    refused = live.stream("", {"Authorization": "Bearer wrong"})
    assert (refused.status, refused.message) == (401, "Invalid token")


def test_a_user_without_the_permission_may_not_listen(live: Live, user_with: Callable[..., User]) -> None:
    refused = live.stream("", bearer(user_with()))
    assert (refused.status, refused.message) == (403, "Missing permission jobs.view_job")
    assert "WWW-Authenticate" not in refused.answer.headers  # who it is was understood


def test_nobody_may_ask_for_a_kind_that_they_may_not_see(live: Live, user_with: Callable[..., User]) -> None:
    token = bearer(user_with("jobs.view_job"))
    assert live.stream("?kind=job,lock", token).status == 403
    assert live.stream("?kind=job,log", token).status == 200
    assert live.stream("", token).status == 200


def test_a_user_who_sees_locks_alone_hears_of_no_job(live: Live, user_with: Callable[..., User]) -> None:
    token = bearer(user_with("locks.view_lock"))
    assert live.stream("", token).status == 200
    assert live.stream("?job=1", token).status == 403


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("?kind=device", "'device'"),
        ("?kind=", "''"),
        ("?job=x", "job"),
        ("?job=", "job"),
        ("?job=%D9%A3", "job"),
        (f"?job={'9' * 5000}", "job"),  # Python does not make a number of it
    ],
)
def test_an_invalid_query_is_refused_with_its_reason(
    live: Live, user_with: Callable[..., User], query: str, word: str
) -> None:
    refused = live.stream(query, bearer(user_with("jobs.view_job")))
    assert refused.status == 400
    assert word in refused.message


def test_a_session_of_the_console_may_listen_until_it_is_signed_out(live: Live, user_with: Callable[..., User]) -> None:
    browser = Client()
    browser.force_login(user_with("jobs.view_job"))
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    assert live.stream("", cookie).status == 200
    browser.logout()
    assert live.stream("", cookie).status == 401


@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "https://front.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_session_counts_for_no_page_of_another_origin(
    live: Live, user_with: Callable[..., User], settings: Any, page: dict[str, str]
) -> None:
    settings.CNAASJOBS_CORS_ORIGINS = ["https://front.example"]
    user = user_with("jobs.view_job")
    browser = Client()
    browser.force_login(user)
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    assert live.stream("", {**cookie, **page}).status == 401
    assert live.stream("", {**bearer(user), **page}).status == 200


@pytest.mark.parametrize("named", [False, True])
def test_a_session_counts_for_its_own_pages(live: Live, user_with: Callable[..., User], named: bool) -> None:
    browser = Client()
    browser.force_login(user_with("jobs.view_job"))
    own = {"Origin": f"http://127.0.0.1:{live.port}"} if named else {}
    cookie = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    assert live.stream("", {**cookie, **own, "Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_host_name_that_is_not_served_is_refused(live: Live, user_with: Callable[..., User], settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["jobs.example.org"]
    token = bearer(user_with("jobs.view_job"))
    assert live.stream("", {**token, "Host": "jobs.example.org"}).status == 200
    refused = live.stream("", {**token, "Host": "evil.example"})
    assert (refused.status, refused.message) == (400, "This host name is not served here (ALLOWED_HOSTS)")


@pytest.mark.parametrize("how", ["token", "permission"])
def test_a_user_who_may_no_longer_listen_is_told_no_more(
    live: Live, user_with: Callable[..., User], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(readers, "AGAIN_SECONDS", 0.2)
    user = user_with("jobs.view_job")
    stream = live.stream("", bearer(user)).begin()
    stays(lambda: not stream.has_ended, seconds=0.7)
    assert {event.name for event in stream.events} == {"position"}
    if how == "token":
        AuthToken.objects.all().delete()
    else:
        user.user_permissions.clear()
    stream.wait_for(lambda: stream.has_ended)


def test_another_sites_page_is_not_served_where_no_token_is_asked_for(live: Live, settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = False
    assert live.stream("", {"Origin": "https://evil.example"}).status == 403
    assert live.stream("", {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert live.stream("", {"Origin": "http://localhost:5173"}).status == 200


def test_only_the_origins_in_the_settings_get_cors_headers(
    live: Live, user_with: Callable[..., User], settings: Any
) -> None:
    settings.CNAASJOBS_CORS_ORIGINS = ["https://front.example"]
    token = bearer(user_with("jobs.view_job"))
    listed = live.stream("", {**token, "Origin": "https://front.example"}).answer.headers
    assert listed["Access-Control-Allow-Origin"] == "https://front.example"
    other = live.stream("", {**token, "Origin": "https://other.example"}).answer.headers
    assert other["Access-Control-Allow-Origin"] is None
    refused = live.stream("", {"Origin": "https://front.example"})
    assert refused.status == 401
    assert refused.answer.headers["Access-Control-Allow-Origin"] == "https://front.example"


def test_a_preflight_needs_no_token(live: Live, settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    settings.CNAASJOBS_CORS_ORIGINS = ["https://front.example"]

    def asked(origin: str) -> Any:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        request = urllib.request.Request(f"{live.url}/api/v1.0/events", headers=headers, method="OPTIONS")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers

    listed = asked("https://front.example")
    assert listed["Access-Control-Allow-Origin"] == "https://front.example"
    assert {"authorization", "last-event-id"} <= {*listed["Access-Control-Allow-Headers"].split(", ")}
    assert asked("https://other.example")["Access-Control-Allow-Origin"] is None


def test_a_user_with_a_jwt_of_our_own_may_listen(
    live: Live, user_with: Callable[..., User], settings: Any, tmp_path: Path
) -> None:
    settings.CNAASJOBS_JWT_LOGIN = True
    settings.CNAASJOBS_JWT_LOGIN_KEY_FILE = tmp_path / "key"
    (tmp_path / "key").write_bytes(private_pem(ec_key("login")))
    user = user_with("jobs.view_job")
    text = own.issued_to("ann", user.password)
    assert live.stream("", {"Authorization": f"Bearer {text}"}).status == 200
    user.is_active = False
    user.save()
    assert live.stream("", {"Authorization": f"Bearer {text}"}).status == 401


def test_a_user_with_a_jwt_of_the_identity_provider_may_listen(live: Live, settings: Any, tmp_path: Path) -> None:
    """A person who comes here first gets a user here too."""
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_AUDIENCE = ISSUER, AUDIENCE
    settings.CNAASJOBS_JWT_KEYS_FILE = tmp_path / "keys"
    (tmp_path / "keys").write_bytes(jwks(first=ec_key("first")))
    settings.CNAASJOBS_JWT_GROUPS = {"noc": "readers"}
    Group.objects.create(name="readers").permissions.set(Permission.objects.filter(codename="view_job"))
    assert live.stream("", {"Authorization": f"Bearer {signed(groups=['noc'])}"}).status == 200
    assert live.stream("", {"Authorization": f"Bearer {signed()}"}).status == 403
    assert live.stream("", {"Authorization": f"Bearer {signed(ec_key('strange'))}"}).status == 401
    made = AuditEntry.objects.get(action="made", detail__startswith="user ")
    assert (made.who, made.origin) == (ISSUER, "127.0.0.1")


def test_nobody_else_waits_for_an_identity_provider_that_is_slow(
    live: Live, user_with: Callable[..., User], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread asks the database for all."""
    for module in (fetching, key_sources):
        monkeypatch.setattr(module, "WAIT_SECONDS", 120.0)
    asked, answers = threading.Event(), threading.Event()

    class Slow(Answering):
        def do_GET(self) -> None:  # noqa: N802  (so http.server calls it)
            asked.set()
            answers.wait(60)
            self.answer(200, jwks(first=ec_key("first")))

    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_AUDIENCE = ISSUER, AUDIENCE
    settings.CNAASJOBS_JWT_GROUPS = {"noc": "readers"}
    Group.objects.create(name="readers").permissions.set(Permission.objects.filter(codename="view_job"))
    listens = live.stream("", bearer(user_with("jobs.view_job"))).begin()
    with serving(Slow) as url, ThreadPoolExecutor(1) as elsewhere:
        settings.CNAASJOBS_JWT_KEYS_URL = f"{url}/keys"
        try:
            waits = elsewhere.submit(live.stream, "", {"Authorization": f"Bearer {signed(groups=['noc'])}"})
            wait_until(asked.is_set)
            told = job_in(Status.FINISHED)
            listens.wait_for(lambda: told.pk in {job["id"] for job in listens.of("job")})
            assert not waits.done()
        finally:
            answers.set()
        assert waits.result(60).status == 200
