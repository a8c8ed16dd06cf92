"""Who can open a page: signing in and out, permissions, development without tokens, a database that is away."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from jobs.models import AuditEntry
from tests.console.conftest import PASSWORD, Person, PersonOf, text_of
from tests.factory import job_row

PAGES = ("/jobs", "/jobs/rows", "/jobs/1")


@pytest.fixture
def tokens(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True


@pytest.mark.usefixtures("db", "tokens")
@pytest.mark.parametrize("path", PAGES)
def test_a_user_who_is_not_signed_in_is_asked_to_sign_in(path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response["Location"]) == (302, f"/sign-in?next={path}")
    assert Client(headers={"HX-Request": "true"}).get(path).status_code == 401


@pytest.mark.usefixtures("db", "tokens")
def test_what_was_typed_comes_back_as_far_as_a_form_takes_it() -> None:
    form = {"comment": f" \x00{'x' * 300} ", "reason": "", "other": "left out"}
    to = Client().post("/jobs/1/run/again?page=2", form)["Location"]
    asked = parse_qs(urlsplit(to).query)["next"][0]
    assert (urlsplit(asked).path, parse_qs(urlsplit(asked).query)) == (
        "/jobs/1/run/again",
        {"page": ["2"], "comment": ["x" * 255]},
    )


@pytest.mark.usefixtures("tokens")
def test_signing_in_leads_to_the_page_that_was_asked_for(viewer: Person) -> None:
    client = Client()
    page = client.get("/sign-in?next=/jobs%3Fq%3Dby%3Aann")
    assert "Sign in" in page.content.decode()
    response = client.post("/sign-in", {"username": "viewer", "password": PASSWORD, "next": "/jobs?q=by:ann"})
    assert (response.status_code, response["Location"]) == (302, "/jobs?q=by:ann")
    assert client.get("/jobs").status_code == 200
    assert client.get("/?q=by%3Aann")["Location"] == "/jobs?q=by%3Aann"  # also without the page's name
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/jobs").status_code == 302


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"])
def test_signing_in_leads_nowhere_else(viewer: Person, elsewhere: str) -> None:
    response = Client().post("/sign-in", {"username": "viewer", "password": PASSWORD, "next": elsewhere})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_a_wrong_password_says_nothing_of_the_name(viewer: Person) -> None:
    said = [
        text_of(Client().post("/sign-in", {"username": name, "password": "wrong"}).content.decode())
        for name in ("viewer", "nobody")
    ]
    assert said[0].count("don't match") == 1
    assert said[0] == said[1]


def test_guessing_is_stopped_by_name_and_by_address(viewer: Person) -> None:
    for _ in range(10):
        Client().post("/sign-in", {"username": "viewer", "password": "wrong"})
    good = {"username": "viewer", "password": PASSWORD}
    assert Client().post("/sign-in", good, REMOTE_ADDR="10.0.0.7").status_code == 200
    User.objects.create_user("other", password=PASSWORD)
    for number in range(10):
        Client().post("/sign-in", {"username": f"guess{number}", "password": "wrong"})
    other = {"username": "other", "password": PASSWORD}
    assert Client().post("/sign-in", other).status_code == 200
    assert Client().post("/sign-in", other, REMOTE_ADDR="10.0.0.7").status_code == 302


@pytest.mark.parametrize("path", PAGES)
def test_a_page_names_the_permission_that_is_missing(person_of: PersonOf, path: str) -> None:
    job_row()
    assert "jobs.view_job" in person_of(name="stranger").read(path, status=403)


def test_a_get_only_page_takes_no_post(viewer: Person) -> None:
    response = viewer.client.post("/jobs")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    response = viewer.client.put("/jobs/abort")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("path", PAGES)
def test_no_cache_keeps_a_page(viewer: Person, path: str) -> None:
    job_row()
    assert viewer.client.get(path)["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("db")
def test_in_development_everybody_is_dev() -> None:
    assert ">dev<" in Client().get("/jobs").content.decode()


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "rebound.example.org"}, 403),
    ],
)
def test_in_development_other_pages_may_only_link_here(headers: dict[str, str], status: int) -> None:
    client = Client(headers={"Host": "localhost", **headers})
    assert client.get("/jobs").status_code == status
    assert client.post("/jobs/abort").status_code == 403


@pytest.mark.usefixtures("db")
def test_in_development_other_machines_get_nothing() -> None:
    assert Client().get("/jobs", REMOTE_ADDR="10.0.0.7").status_code == 403


def test_a_database_that_is_away_is_reported(viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("console.pages.jobs.feed.position", away)
    assert "The database is away" in viewer.read("/jobs", status=503)


def test_a_refused_change_is_in_the_audit_trail(person_of: PersonOf) -> None:
    """Being refused a page that one only looks at is not."""
    stranger = person_of(name="stranger")
    stranger.open("/jobs/abort", status=403)
    refused = AuditEntry.objects.filter(action="refused")
    assert not refused.exists()
    stranger.send("/jobs/abort", {"ids": "1"}, status=403)
    assert [(entry.who, entry.detail) for entry in refused] == [
        ("stranger", "POST /jobs/abort: permission jobs.view_job")
    ]


def test_signing_out_takes_a_form(viewer: Person) -> None:
    assert viewer.client.get("/sign-out").status_code == 405
    page = viewer.markup("/jobs")
    assert re.search(r'<form method="post" action="/sign-out">', page)
