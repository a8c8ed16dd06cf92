"""The console without script, as strict browsers and tools see it: each page, searching, aborting, running again."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from jobs.models import AuditEntry, Job
from jobs.states import Status
from tests.browser.addresses import CONSOLE, FOR_STRANGERS
from tests.browser.conftest import Complaints, OpenPage
from tests.browser.thread import expect
from tests.browser.world import World, built
from tests.factory import job_in

pytestmark = pytest.mark.needs("chromium")

FOR_SCRIPTS = "#live, #new, [data-times], [popovertarget], [data-copy]"  # what only a script can do


@pytest.fixture
def page(open_page: OpenPage, boss: User) -> Page:
    return open_page(boss, java_script_enabled=False)


@pytest.fixture
def world(boss: User) -> World:
    return built()


def test_each_page_shows_what_it_has(page: Page, world: World, complaints: Complaints) -> None:
    for status in (400, 404, 409):  # among the addresses are mistakes
        complaints.forgive(f"the server responded with a status of {status}")
    for name, addresses in CONSOLE.items():
        for address in () if name in FOR_STRANGERS else addresses:
            page.goto(address(world))
            expect(page.locator("h1").first).not_to_be_empty()
            expect(page.locator(FOR_SCRIPTS).filter(visible=True)).to_have_count(0)


def test_a_search_and_its_chips_are_links_and_forms(page: Page, world: World) -> None:
    page.goto("/jobs")
    page.fill("#search", "function:sync_devices status:exception")
    page.press("#search", "Enter")
    expect(page.locator("#rows > tr")).to_have_count(2)
    page.locator(".chip", has_text="status:exception").click()
    expect(page.locator("#rows > tr")).to_have_count(8)
    page.fill("#search", str(world.lost.pk))
    page.press("#search", "Enter")
    expect(page.locator("h1")).to_contain_text(f"#{world.lost.pk}")


def test_a_diff_is_one_link_away(page: Page, world: World) -> None:
    page.goto(f"/jobs/{world.dry_run.pk}")
    page.locator(f"li[data-host={world.host}] summary").click()
    page.get_by_role("link", name=f"Diff and configuration of {world.host}").click()
    expect(page.locator("pre.diff")).to_contain_text("+   name closet-2")


def test_chosen_jobs_are_aborted_after_a_page_that_asks(page: Page) -> None:
    chosen, other = [job_in(Status.SCHEDULED) for _ in range(2)], job_in(Status.SCHEDULED)
    page.goto("/jobs")
    for job in chosen:
        page.check(f"#job-{job.pk} input[type=checkbox]")
    page.get_by_role("button", name="Abort selected").click()
    expect(page.locator("h1")).to_have_text("Abort 2 jobs?")
    assert Job.objects.filter(status=Status.SCHEDULED).count() == 3
    page.fill("input[name=reason]", "wrong window")
    page.locator("main form button").click()
    expect(page.locator(".say").first).to_contain_text("Aborted: 2 jobs:")
    assert [*Job.objects.filter(status=Status.SCHEDULED)] == [other]
    assert AuditEntry.objects.filter(action="aborted", who="boss").count() == 2


def test_all_that_match_are_aborted_without_selecting_them(page: Page) -> None:
    for _ in range(3):
        job_in(Status.SCHEDULED)
    page.goto("/jobs?q=status:scheduled")
    page.locator("details.all summary").click()
    page.get_by_role("button", name="Abort all that match").click()
    expect(page.locator("h1")).to_have_text("Abort 3 jobs?")
    page.locator("main form button").click()
    expect(page.locator(".say").first).to_contain_text("Aborted: 3 jobs:")
    assert not Job.objects.filter(status=Status.SCHEDULED).exists()


def test_what_failed_is_run_again(page: Page, world: World) -> None:
    page.goto(f"/jobs/{world.dry_run.pk}")
    page.get_by_role("link", name="Run again…").click()
    expect(page.locator("h1")).to_have_text(f"Run job {world.dry_run.pk} again?")
    page.locator("main form button").click()
    expect(page.locator(".say")).to_contain_text("Scheduled: job ")
    job = Job.objects.latest("pk")
    assert (job.status, job.scheduled_by, job.ticket_ref) == ("SCHEDULED", "boss", "NOC-4711")
