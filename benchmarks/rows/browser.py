"""Each page of the console in Chromium at many jobs, and of a job with many devices, on a desk and on a phone."""

from collections.abc import Iterator
from typing import Any, Final

from playwright.sync_api import Page

from benchmarks.dataset import copy_of, many_jobs, running_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, spread
from benchmarks.rows.console import job_of_many, pages_at
from benchmarks.web import cookie, product_client
from tests.browser.chromium import chromium

_WINDOWS: Final = (("light", 1280, 800), ("dark", 360, 740))
_LOADED: Final = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_TOO_WIDE: Final = "document.documentElement.scrollWidth > innerWidth"


def opened(bench: Bench) -> Iterator[Line]:
    """Milliseconds until each has loaded; an error if one answers with anything but a 200 or scrolls sideways."""
    count = bench.size(1_000_000, 100_000)
    database = copy_of(bench, many_jobs(bench, count))
    pages = pages_at(*job_of_many(bench, database))
    with running_jobs(bench, database):
        product_client(bench, database=database)
        url, (_, session) = bench.platforms[-1].url, cookie(bench, database, name="operator").popitem()
        name, _, value = session.partition("=")
        times: dict[tuple[str, str], list[float]] = {}
        with chromium() as browser:
            for scheme, width, height in _WINDOWS:
                look: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": height}}
                context = browser.new_context(base_url=url, **look)
                context.add_cookies([{"name": name, "value": value, "url": url}])
                page = context.new_page()
                for _ in range(bench.rounds):
                    for what, each in pages.items():
                        times.setdefault((what, f"{width} pixels, {scheme}"), []).append(_loaded(page, each.path))
    for (what, window), found in times.items():
        yield Line(
            what=f"Chromium, {what}, at {count:,} jobs, {window}: until it is loaded", unit="ms", ours=spread(found)
        )


def _loaded(page: Page, path: str) -> float:
    answer = page.goto(path, wait_until="load")
    if answer is None or answer.status != 200:
        raise AssertionError(f"{path}: {answer and answer.status}")
    if page.evaluate(_TOO_WIDE):
        raise AssertionError(f"{path} scrolls sideways")
    return float(page.evaluate(_LOADED))
