"""What a browser may load and run: the policy of every page, and the third-party script that we serve."""

import hashlib
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.console.conftest import Person
from tests.factory import job_row

# As npm has them in htmx.org@4.0.1, dist/htmx.min.js.
HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def static(name: str) -> bytes:
    path = finders.find(f"console/{name}")
    assert isinstance(path, str)
    return Path(path).read_bytes()


def test_htmx_is_what_was_published() -> None:
    assert hashlib.sha256(static("htmx-4.0.1.min.js")).hexdigest() == HTMX


def test_our_style_sheet_stays_small() -> None:
    assert len(static("console.css")) <= 12 * 1024


@pytest.mark.parametrize("path", ["/jobs", "/jobs/99999", "/sign-in", "/admin/login/", "/nothing"])
def test_every_page_has_the_policy(viewer: Person, path: str) -> None:
    response = viewer.client.get(path, headers={"Accept": "text/html"})
    assert response.headers["Content-Security-Policy"] == STRICT


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize("path", ["/api/v1.0/jobs", "/api/v1.0/docs"])
def test_the_api_keeps_its_own(path: str) -> None:
    policy = Client().get(path).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy != STRICT


def test_a_page_has_nothing_that_the_policy_forbids(viewer: Person) -> None:
    job = job_row()
    for path in ("/jobs", f"/jobs/{job.pk}", "/sign-in", "/jobs?q=x:y"):
        page = viewer.client.get(path, follow=True).content.decode()
        assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/static/)|javascript:|hx-on|js:", page)
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)
