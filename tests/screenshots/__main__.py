"""``make screenshots``, or ``python -m tests.screenshots``: writes docs/screenshots/*.png anew. Needs Chromium."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import django
from playwright.sync_api import Page, ViewportSize

from tests.services import scratch_directory

if TYPE_CHECKING:
    from tests.screenshots.site import Site

ROOT: Final = Path(__file__).resolve().parents[2]

PICTURES: Final = ROOT / "docs" / "screenshots"
LARGEST: Final = 150_000
WINDOW: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 360, "height": 740}


class Picture(NamedTuple):
    name: str
    path: "Callable[[Site], str]"
    first: Callable[[Page], object] = lambda _: None
    scheme: Literal["light", "dark"] = "light"
    window: ViewportSize = WINDOW


def _open_a_diff(page: Page) -> None:
    page.locator("li[data-group=changed] summary").first.click()
    page.locator("pre.diff").first.wait_for()


WANTED: Final = (
    Picture("jobs", lambda _: "/jobs"),
    Picture("dry-run", lambda site: f"/jobs/{site.dry_run}", first=_open_a_diff),
    Picture("running-dark", lambda site: f"/jobs/{site.running}", scheme="dark"),
    Picture("timeline", lambda _: "/timeline"),
    Picture("phone", lambda site: f"/jobs/{site.running}", window=PHONE),
)


def main() -> int:
    if not shutil.which("chromium"):
        print("The screenshots need chromium installed on this machine.", file=sys.stderr)
        return 2
    directory = scratch_directory("screenshots")
    _set_up_django(directory / "state")
    try:
        return _take(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _set_up_django(state: Path) -> None:
    """On the database of the platform that will be started."""
    for name in [name for name in os.environ if name.startswith("CNAASJOBS_")]:
        del os.environ[name]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "cnaasjobs.settings",
        "CNAASJOBS_DEV": "1",
        "CNAASJOBS_STARTED_BY_TESTS": "1",  # tests.settings then leaves the environment alone
        "CNAASJOBS_STATE_DIR": str(state),
        "CNAASJOBS_LOG_LEVEL": "WARNING",
    }
    os.environ.pop("DATABASE_URL", None)
    django.setup()


def _take(directory: Path) -> int:
    from tests.browser.chromium import chromium
    from tests.screenshots.site import Site

    PICTURES.mkdir(exist_ok=True)
    site, too_large = Site(directory), []
    try:
        site.begin()
        with chromium() as browser:
            for picture in WANTED:
                context = browser.new_context(base_url=site.url, viewport=picture.window, color_scheme=picture.scheme)
                page = context.new_page()
                page.goto(picture.path(site))
                page.locator("#live.is-live").wait_for()
                picture.first(page)
                file = PICTURES / f"{picture.name}.png"
                page.screenshot(path=file)
                context.close()
                size = file.stat().st_size
                print(f"{file.relative_to(ROOT)} {size // 1000} KB")
                if size > LARGEST:
                    too_large.append(picture.name)
    finally:
        site.stop()
    if too_large:
        print(f"Larger than {LARGEST // 1000} KB: {', '.join(too_large)}", file=sys.stderr)
    return int(bool(too_large))


if __name__ == "__main__":
    sys.exit(main())
