"""The console by the keyboard alone, from signing in to an abort; on paper, and in the few colours of a system."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from jobs.states import Status
from tests.browser.conftest import PASSWORD, OpenPage
from tests.browser.thread import expect
from tests.browser.world import built
from tests.factory import job_in

pytestmark = pytest.mark.needs("chromium")

MOST_TABS = 60
LINES_BELOW_TABS = "[...document.querySelectorAll('.tabs a')].map(tab => getComputedStyle(tab).borderBottom)"
# The focused element's own words, and whether one sees that it is the focused one.
FOCUSED = """() => {
    const at = document.activeElement;
    if (at.matches('body, main')) return ['', true];  // where a page, or the link that skips its head, begins
    const look = getComputedStyle(at), box = at.getBoundingClientRect();
    const name = at.getAttribute('aria-label') || at.innerText || at.name || at.id;
    return [name.trim(), look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) > 0 && box.width > 0];
}"""


def tab_to(page: Page, name: str) -> None:
    """Tab until there; each stop on the way can be seen."""
    seen = []
    for _ in range(MOST_TABS):
        words, is_visible = page.evaluate(FOCUSED)
        assert is_visible, f"nobody sees that the focus is at {words!r}"
        if name in words:
            return
        seen.append(words)
        page.keyboard.press("Tab")
    raise AssertionError(f"no {name!r} among {seen}")


def test_keys_alone_lead_from_signing_in_to_an_abort(page: Page, boss: User) -> None:
    job = job_in(Status.SCHEDULED)
    page.goto("/jobs")
    expect(page.locator("#id_username")).to_be_focused()
    page.keyboard.type("boss")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#rows > tr")).to_have_count(1)
    tab_to(page, "Skip to the content")
    page.keyboard.press("Enter")
    tab_to(page, "nothing")  # the job's function
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(f"#{job.pk}")
    tab_to(page, "Abort…")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(f"Abort job {job.pk}?")
    expect(page.locator(".is-warning")).to_have_count(0)  # of others that match
    tab_to(page, "reason")
    page.keyboard.type("wrong window")
    page.keyboard.press("Enter")
    expect(page.locator(".say")).to_contain_text(f"Aborted: job {job.pk}")
    expect(page.locator(".reason")).to_contain_text("wrong window (aborted by boss)")
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "JobAborted")


def test_on_paper_it_is_a_record_of_the_change(open_page: OpenPage, boss: User) -> None:
    """Who, when, why, which devices and how each ended; nothing that only a screen can use."""
    world = built()
    page = open_page(boss)
    page.goto(f"/jobs/{world.dry_run.pk}")
    bidi = page.locator(".list .name").first.evaluate("name => getComputedStyle(name).unicodeBidi")
    assert bidi == "isolate"  # a name that turns the direction of text turns no more than itself
    page.emulate_media(media="print")
    for css in ("header.top", ".actions", "form", ".noprint", "#live"):
        for element in page.locator(css).all():
            expect(element).to_be_hidden()
    for words in ("NOC-4711", "ann", "eosdist1", "no route to"):
        expect(page.locator("main")).to_contain_text(words, use_inner_text=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    )
    page.emulate_media(media="screen", forced_colors="active")
    assert len(set(page.evaluate(LINES_BELOW_TABS))) == 2  # the tab that one is at, and the others
