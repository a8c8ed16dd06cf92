"""Our script, and what the pages tell it."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.staticfiles import finders

from jobs import feed
from tests.console.conftest import Person, PersonOf
from tests.factory import job_row


def script() -> str:
    path = finders.find("console/console.js")
    assert isinstance(path, str)
    return Path(path).read_text()


def said(page: str, name: str) -> str:
    found = re.search(rf'<body[^>]* data-{name}="([^"]*)"', page)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_it_stays_small_and_evaluates_nothing() -> None:
    assert len(script().splitlines()) <= 200
    assert max(map(len, script().splitlines())) <= 120
    assert not re.search(r"\beval\b|new Function|innerHTML\s*=|document\.write|https?://", script())


@pytest.mark.parametrize(
    ("permissions", "kinds"),
    [
        (("jobs.view_job",), "job"),
        (("jobs.view_job", "locks.view_lock"), "job,lock"),
    ],
)
def test_a_page_names_the_events_that_its_user_may_hear(
    person_of: PersonOf, permissions: tuple[str, ...], kinds: str
) -> None:
    page = person_of(*permissions).markup("/jobs")
    events = urlsplit(said(page, "events"))
    assert events.path == "/api/v1.0/events"
    assert parse_qs(events.query) == {"kind": [kinds]}


def test_the_page_of_a_job_hears_of_that_job_and_its_log(viewer: Person) -> None:
    job = job_row()
    page = viewer.markup(f"/jobs/{job.pk}")
    assert parse_qs(urlsplit(said(page, "events")).query) == {"kind": ["job,log"], "job": [str(job.pk)]}


@pytest.mark.django_db(transaction=True)  # the feed tells what was committed
def test_the_stream_begins_where_the_page_ends(viewer: Person) -> None:
    before = feed.position()
    page = viewer.markup("/jobs")
    after = said(page, "after")
    job_row()
    position = feed.Position.parse(after)
    assert position is not None
    assert after == str(before)
    told = feed.look(position).told
    assert told is not None
    assert len(told) == 1
