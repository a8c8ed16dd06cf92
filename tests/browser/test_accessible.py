"""Every page for everybody: axe finds nothing serious, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.browser.addresses import ADMIN
from tests.browser.conftest import OpenPage
from tests.browser.thread import there
from tests.browser.world import built

pytestmark = pytest.mark.needs("chromium")

# Django's own templates make the admin's pages: what is only a good habit is not asked of them.
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def serious(page: Page, rules: list[str]) -> list[str]:
    """What axe found on it, with the elements."""
    found = there(Axe().run, page, options={"runOnly": rules}).response["violations"]
    return [
        f"{rule['id']}: {', '.join(' '.join(map(str, node['target'])) for node in rule['nodes'][:3])}"
        f" ({rule['nodes'][0]['failureSummary']})"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_the_admin_shuts_anybody_out(open_page: OpenPage, boss: User, scheme: str) -> None:
    world = built()
    page, found = open_page(boss, color_scheme=scheme), []
    for name, address in ADMIN.items():
        page.goto(address(world))
        found += [f"{name}: {wrong}" for wrong in serious(page, WCAG)]
    assert not found, "\n".join(found)
