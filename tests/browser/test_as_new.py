"""What one test leaves in a browser window is gone in the next test, although it may use the same window."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import as_new, leave, page_of
from tests.browser.conftest import DESKTOP
from tests.browser.thread import there
from tests.services.front import Front

pytestmark = pytest.mark.needs("chromium")


def opened(browser: Browser, site: str) -> Any:
    context = there(as_new, browser, base_url=site, viewport=DESKTOP)
    page: Page = there(page_of, context)
    return context, page


def test_nothing_of_the_window_before_is_left(request: pytest.FixtureRequest) -> None:
    browser: Browser = request.getfixturevalue("_chromium")
    front: Front = request.getfixturevalue("_front")
    context, page = opened(browser, front.url)
    context.add_cookies([{"name": "csrftoken", "value": "of-before", "url": front.url}])
    page.clock.install(time=0)
    page.add_init_script("window.ofBefore = true")
    page.goto("/sign-in")
    page.evaluate("localStorage.setItem('keys', 'off')")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    page.route("**/*", lambda route: route.abort())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    there(leave, context)
    asked.clear()

    context, page = opened(browser, front.url)
    assert context.cookies() == []
    page.goto("/sign-in")
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("window.ofBefore === undefined")
    assert page.evaluate("Date.now()") > 1_700_000_000_000
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is False
    assert page.evaluate("innerWidth") == DESKTOP["width"]
    assert asked == []
    there(leave, context)
