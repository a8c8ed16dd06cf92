"""Every page for everybody: axe finds nothing serious, in light and in dark, and a narrow window shows all of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from playwright.sync_api import Page, ViewportSize

from console.urls import urlpatterns
from tests.browser.addresses import ADMIN, CONSOLE, FOR_STRANGERS, NO_PAGES
from tests.browser.conftest import DESKTOP, Complaints, OpenPage
from tests.browser.world import World, built

pytestmark = pytest.mark.needs("chromium")

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Django's own templates make the admin's pages: what is only a good habit is not asked of them.
GOOD_HABITS = [*WCAG, "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]  # the rules that dark may break, in which only colours are others
# A phone, and what is left of a window at 400 %, at 125 % and on a tablet.
WINDOWS: tuple[ViewportSize, ...] = (
    {"width": 360, "height": 740},
    {"width": 320, "height": 256},
    {"width": 1024, "height": 700},
    {"width": 961, "height": 700},
)


def wrong_on(page: Page, tags: list[str]) -> list[str]:
    """What axe found on it, in light and in dark."""
    page.emulate_media(color_scheme="light")
    page.evaluate(AT_ONCE)
    found = serious(page, {"type": "tag", "values": tags})
    page.emulate_media(color_scheme="dark")
    return found + [f"dark: {wrong}" for wrong in serious(page, {"type": "rule", "values": COLOURS})]


def serious(page: Page, rules: dict[str, Any]) -> list[str]:
    """With the elements."""
    # Its preloading would copy imported style sheets into the page, which the Content-Security-Policy forbids. Without
    # resultTypes it describes each element that is as it should be too, for half of its time.
    options = {"runOnly": rules, "preload": False, "resultTypes": ["violations"]}
    found = page.evaluate("options => axe.run(options).then(results => results.violations)", options)
    return [
        f"{rule['id']}: {', '.join(' '.join(map(str, node['target'])) for node in rule['nodes'][:3])}"
        f" ({rule['nodes'][0]['failureSummary']})"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


def too_wide(page: Page) -> list[str]:
    """Who sticks out of a smaller window, so that it scrolls sideways, always covers a third of it, or is cramped."""
    found = []
    for window in WINDOWS:
        page.set_viewport_size(window)
        if who := page.evaluate(WHO_STICKS_OUT):
            found.append(f"{window['width']} pixels: {who}")
    page.set_viewport_size(DESKTOP)
    return found


def each_page(open_page: OpenPage, user: User, world: World) -> Iterator[tuple[str, Page]]:
    """The console's, one after the other, in one window of somebody who has signed in and one of a stranger."""
    inside, outside = open_page(user), open_page()
    for page in (inside, outside):
        page.add_init_script(AXE_SCRIPT)  # which is sent once, not once for each address
    for name, addresses in CONSOLE.items():
        for address in addresses:
            page = outside if name in FOR_STRANGERS else inside
            page.goto(address(world))
            yield address(world), page


@pytest.fixture
def world(boss: User, complaints: Complaints) -> World:
    for path in ("/jobs/999999999", "/devices/nobody"):
        complaints.forgive(f"{path}: Failed to load resource: the server responded with a status of 404")
    complaints.forgive("the server responded with a status of 400")  # a search that can't be understood
    complaints.forgive("the server responded with a status of 409")  # what can't be run again
    return built()


def test_each_page_of_the_console_has_a_row() -> None:
    assert {pattern.name for pattern in urlpatterns} == {*CONSOLE, *NO_PAGES}


def test_no_page_of_the_console_shuts_anybody_out(open_page: OpenPage, boss: User, world: World) -> None:
    found = []
    for address, page in each_page(open_page, boss, world):
        found += [f"{address}: {wrong}" for wrong in wrong_on(page, GOOD_HABITS) + too_wide(page)]
    assert not found, "\n".join(found)


def test_a_number_stays_in_one_line_however_long_it_is(open_page: OpenPage, boss: User, world: World) -> None:
    page = open_page(boss, viewport={"width": 800, "height": 800})
    page.goto("/timeline")
    assert page.evaluate(LINES_OF_LONG_NUMBERS) == [1]


LINES_OF_LONG_NUMBERS = """() => [...new Set([...document.querySelectorAll('td.num')].map(cell => {
    cell.textContent = '123,456,789,012,345';
    const text = document.createRange();
    text.selectNodeContents(cell);
    return text.getClientRects().length;
}))]"""
# The admin's links fade from the one scheme's colour to the other's.
AT_ONCE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('* { transition: none !important; }');
    document.adoptedStyleSheets = [sheet];
}"""
WHO_STICKS_OUT = """() => {
    const all = [...document.querySelectorAll('body *')], box = element => element.getBoundingClientRect();
    const isWide = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) > innerWidth;
    const stays = element => getComputedStyle(element).position === 'sticky' && box(element).height > innerHeight / 3;
    const who = all.filter(element => (isWide && box(element).right > innerWidth + 1) || stays(element));
    const [brand, menu, search] = ['.brand', '.me', '.find'].map(css => document.querySelector(`header ${css}`));
    if (search && box(search).width < 200) who.push(search);
    if (menu && box(menu).top > box(brand).bottom) who.push(menu);
    const names = who.slice(0, 5).map(element => `${element.tagName}.${element.className}`);
    return isWide ? ['scrolls', ...names] : names;
}"""


def test_no_page_of_the_admin_shuts_anybody_out(open_page: OpenPage, boss: User) -> None:
    world = built()
    page, found = open_page(boss), []
    page.add_init_script(AXE_SCRIPT)
    for name, address in ADMIN.items():
        page.goto(address(world))
        found += [f"{name}: {wrong}" for wrong in wrong_on(page, WCAG)]
    assert not found, "\n".join(found)
