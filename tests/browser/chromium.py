"""The browser that is installed, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.browser.thread import there

# Pictures and layouts are the same on every machine; no data in the background.
ARGUMENTS: Final = ("--disable-quic", "--disable-sync", "--force-device-scale-factor=1", "--hide-scrollbars")


@contextmanager
def chromium() -> Iterator[Browser]:
    playwright = there(sync_playwright().start)
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
    try:
        yield browser
    finally:
        browser.close()
        playwright.stop()
