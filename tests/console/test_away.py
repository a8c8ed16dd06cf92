"""A database that is away or read-only: each page says so, the admin's too, and says what that means."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Job
from tests import fake_jobs
from tests.console.conftest import PASSWORD, Person, text_of
from tests.factory import job_row
from tests.services import PostgreSQL
from tests.switching import database_fails, database_takes_no_writes

PAGES = ("/jobs", "/devices", "/locks", "/schedules", "/admin/", "/admin/jobs/job/", "/admin/locks/lock/")


@pytest.fixture
def boss(db: None) -> Person:
    return Person(User.objects.create_superuser("boss", password=PASSWORD))


def ended() -> Job:
    return job_row(task_name=fake_jobs.echo.name, start_arguments='{"value": "x"}', function_name="echo")


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("path", [*PAGES, "/sign-in"])
def test_a_page_says_that_it_is_away(boss: Person, path: str, accept: str) -> None:
    with database_fails():
        response = boss.client.get(path, headers={"Accept": accept})
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert "no-store" in response["Cache-Control"]
    said = text_of(response.content.decode())
    assert "can't be reached at the moment. Nothing is lost" in said
    assert "Try again" in said


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/jobs/abort", "/locks/clear", "/admin/jobs/job/abort/"])
def test_after_a_form_it_does_not_claim_that_nothing_was_done(boss: Person, path: str) -> None:
    with database_fails():
        said = boss.send(path, {"ids": "1", "name": "devices", "fence": "1"}, status=503)
    assert "Whether this was done is not known: check before you do it again" in said


@pytest.mark.django_db(transaction=True)
def test_one_that_takes_no_writes_is_not_away(boss: Person) -> None:
    with database_takes_no_writes():
        for path in PAGES:
            boss.open(path)
        for path in ("/sign-in", "/admin/login/"):
            stranger = Client(headers={"Host": "localhost"})
            response = stranger.post(path, {"username": "boss", "password": PASSWORD})
            assert response.status_code == 503
            assert "It takes no writes at the moment, so this was not done" in text_of(response.content.decode())


@pytest.mark.django_db
def test_what_fails_outside_of_a_view_is_reported_too(boss: Person) -> None:
    """A session that is stored when the page is done: so many messages fit into no cookie."""
    boss.client.raise_request_exception = False
    ids = ",".join(str(number * 7919**3) for number in range(1, 400))
    with database_fails(asked_about='UPDATE "django_session"'):
        said = boss.send("/jobs/abort", {"ids": ids}, status=503)
    assert "The database is away" in said


# --- a form that is sent again ----------------------------------------------------------------------------------------


def key_of(person: Person, path: str) -> str:
    found = re.search(r'name="once" value="([^"]{20,})"', person.markup(path))
    assert found is not None
    return found[1]


@pytest.mark.django_db
def test_a_form_that_is_sent_twice_schedules_once(ann: Person) -> None:
    path = f"/jobs/{ended().pk}/run/again"
    form = {"once": key_of(ann, path), "comment": "x"}
    first = ann.send(path, form)
    made = Job.objects.latest("id")
    assert f"Scheduled: job {made.pk}" in first
    assert f"Scheduled: job {made.pk}" in ann.send(path, {**form, "comment": "y"})
    assert Job.objects.count() == 2
    assert key_of(ann, path) != form["once"], "who asks for the page again may want another"
    ann.send(path, {"once": "another\x00" * 50, "seen": str(made.pk)})
    assert Job.objects.count() == 3


@pytest.mark.needs("postgresql")
def test_a_job_whose_commit_was_lost_is_not_scheduled_again(postgresql: PostgreSQL) -> None:
    ann = Person(User.objects.create_superuser("ann", password=PASSWORD))
    path = f"/jobs/{ended().pk}/run/again"
    form = {"once": key_of(ann, path)}
    postgresql.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
    )
    postgresql.execute(
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON jobs_joblink DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION die()"
    )
    for _ in range(2):
        assert "it is not known whether this was scheduled" in ann.send(path, form, status=503)
    postgresql.execute("DROP TRIGGER die ON jobs_joblink")
    for _ in range(2):
        said = ann.send(path, form)
        made = Job.objects.latest("id")
        assert f"Scheduled: job {made.pk}" in said
    assert Job.objects.count() == 2


# --- long addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_where_a_form_leads_back_to_fits_through_any_proxy(ann: Person) -> None:
    response: Any = ann.client.post("/jobs/abort", {"ids": "", "q": "å" * 150})
    assert response["Location"] == "/jobs?q=" + "%C3%A5" * 150
    response = ann.client.post("/jobs/abort", {"ids": "", "q": "北" * 900})
    assert response["Location"] == "/jobs"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/jobs", "/admin/jobs/job/", "/admin/jobs/job"])
def test_the_way_to_the_sign_in_fits_through_any_proxy_too(settings: Any, path: str) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    stranger = Client(headers={"Host": "localhost"})
    response: Any = stranger.get(f"{path}?q={'x' * 3000}")
    assert response.status_code in (301, 302)
    assert "?" not in response["Location"]
    assert stranger.get(response["Location"], follow=True).status_code == 200
