"""A real Chromium on real web and events servers: the pages as their users see them.

One browser for each process of the test run; a test has a context of its own, with its own cookies and storage, for
each page that it opens. What a page complains of fails the test: errors of scripts, of the content security policy, of
what could not be loaded, and each request to another host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize
from pytest_django import DjangoDbBlocker

from tests.browser.chromium import as_new, chromium, leave, page_of
from tests.browser.thread import there
from tests.needs import require
from tests.services import scratch_directory
from tests.services.front import Front
from tests.services.processes import Platform
from tests.switching import broker_url, database_url

PASSWORD = "correct horse"
DESKTOP: ViewportSize = {"width": 1440, "height": 1000}
PATIENCE_MS = 30_000


class OpenPage(Protocol):
    def __call__(self, user: User | None = None, **context: Any) -> Page:
        """A page in a context of its own, such as ``color_scheme="dark"``; ``user`` has signed in there."""


class Complaints(list[str]):
    """What the test's pages complained of. One that a test provokes is forgiven by a part of its words."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self._site = site
        self._forgiven: list[str] = []

    def forgive(self, part: str) -> None:
        self._forgiven.append(part)

    def listen(self, page: Page) -> None:
        page.on("console", self._of_console)
        page.on("pageerror", lambda error: self.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._of_request(request.url))

    @property
    def left(self) -> list[str]:
        return [text for text in self if not any(part in text for part in self._forgiven)]

    def _of_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(f"{message.location.get('url')}: {message.text}")

    def _of_request(self, url: str) -> None:
        if not url.startswith((f"{self._site}/", "data:", "blob:", "about:")):
            self.append(f"asked another host: {url}")


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    require(["chromium"])
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def _front(django_db_setup: None, django_db_blocker: DjangoDbBlocker, _embedded_broker: None) -> Iterator[Front]:
    """One for all tests, on the suite's own database."""
    directory = scratch_directory("browser")
    with django_db_blocker.unblock():
        env = {"CNAASJOBS_REQUIRE_TOKEN": "1"}  # people sign in, as in production
        platform = Platform(database_url=database_url(), broker_url=broker_url(), directory=directory, env=env)
    front = Front(platform, directory)
    yield front
    front.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def complaints(_front: Front) -> Iterator[Complaints]:
    complaints = Complaints(_front.url)
    yield complaints
    assert complaints.left == []


@pytest.fixture
def open_page(_chromium: Browser, _front: Front, complaints: Complaints, transactional_db: None) -> Iterator[OpenPage]:
    at_the_end = ExitStack()
    opened = count()

    def context_with(options: dict[str, Any]) -> BrowserContext:
        if next(opened):
            context = _chromium.new_context(**options)
            at_the_end.callback(context.close)
        else:
            context = there(as_new, _chromium, **options)
            at_the_end.callback(there, leave, context)
        return context

    def open_page(user: User | None = None, **options: Any) -> Page:
        context = context_with({"base_url": _front.url, "viewport": DESKTOP} | options)
        context.set_default_timeout(PATIENCE_MS)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": _front.url}])
        page = there(page_of, context)
        there(complaints.listen, page)
        return page

    with at_the_end:  # before the rows go that the pages ask for
        yield open_page


@pytest.fixture
def boss(transactional_db: None) -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """Of somebody who has not signed in."""
    return open_page()


@pytest.fixture
def bosses_page(open_page: OpenPage, boss: User) -> Page:
    """Of a superuser who has signed in."""
    return open_page(boss)


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keeps a picture, where the environment's SCREENSHOTS names a directory."""

    def shoot(page: Page, name: str) -> None:
        if kept := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(kept) / f"{name}.png")

    return shoot
