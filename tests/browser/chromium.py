"""The browser that is installed, without a window."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright._impl._sync_base import mapping
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.thread import there

EXECUTABLE: Final = Path(__file__).with_suffix(".sh")
# Pictures and layouts are the same on every machine; no data in the background.
ARGUMENTS: Final = ("--disable-quic", "--disable-sync", "--force-device-scale-factor=1", "--hide-scrollbars")


@contextmanager
def chromium() -> Iterator[Browser]:
    playwright = there(sync_playwright().start)
    browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
    try:
        yield browser
    finally:
        browser.close()
        playwright.stop()


def as_new(browser: Browser, **options: Any) -> BrowserContext:
    """A new context, or the one of before that Playwright has made as new, which costs a third.

    Playwright's runner of tests has it as ``reuseContext``; in Python it has no public name. Objects of the one of
    before are of no use any more. Files that the browser keeps stay.
    """
    inside: Any = browser._impl_obj
    browser._sync(inside._disconnect_from_reused_context("the next one is wanted"))
    context: BrowserContext = mapping.from_impl(browser._sync(inside._new_context_for_reuse(options)))
    return context


def page_of(context: BrowserContext) -> Page:
    """The one that it has from before, or a new one."""
    return context.pages[0] if context.pages else context.new_page()


def leave(context: BrowserContext) -> None:
    """Its pages ask for nothing any more."""
    for page in context.pages:
        page.goto("about:blank")
