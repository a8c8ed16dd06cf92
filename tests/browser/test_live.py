"""Live pages: what changes under an open one, while the events process is there and while it is not; keys."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Page

from devices.tasks import sync_devices
from jobs.guarded_status import made_up_states
from jobs.models import Job
from tests.browser.conftest import Complaints, OpenPage
from tests.browser.thread import expect
from tests.factory import device_row, heartbeat, job_row
from tests.services.front import Front

pytestmark = pytest.mark.needs("chromium")


def row_of(page: Page, job: Job) -> Any:
    return page.locator(f"#job-{job.pk}")


def finish(job: Job) -> None:
    with made_up_states():
        Job.objects.filter(pk=job.pk).update(status="FINISHED", run_token=None, finish_time=timezone.now())


def is_live(page: Page, state: str = "live") -> None:
    expect(page.locator("#live")).to_have_text(state)


@pytest.fixture
def list_page(open_page: OpenPage, boss: User) -> Page:
    """The list, with two jobs that run."""
    heartbeat()
    heartbeat("beat", kind="beat", queues="[]")
    for _ in range(2):
        job_row("RUNNING", start_time=timezone.now())
    page = open_page(boss)
    page.goto("/jobs")
    is_live(page)
    return page


@pytest.fixture
def older() -> Job:
    return Job.objects.earliest("pk")


@pytest.fixture
def without_events(_front: Front, complaints: Complaints) -> Iterator[Front]:
    """A test may stop the events process; it is there again afterwards."""
    complaints.forgive("/api/v1.0/events?")
    complaints.forgive("net::ERR_FAILED")  # the test cuts the page off
    yield _front
    if not _front.events.running:
        _front.start_events()


def test_a_row_changes_in_place_and_new_ones_wait_until_they_are_asked_for(list_page: Page, older: Job) -> None:
    row = row_of(list_page, older)
    where = row.bounding_box()
    finish(older)
    expect(row.locator(".state")).to_contain_text("finished")
    new = [job_row("RUNNING"), job_row("FINISHED")]
    button = list_page.get_by_role("button", name="2 new: show")
    expect(button).to_be_visible()
    assert row.bounding_box() == where
    assert list_page.locator("#rows > tr").count() == 2
    button.click()
    expect(list_page.locator("#rows > tr")).to_have_count(4)
    expect(list_page.locator("#rows > tr").first).to_have_id(f"job-{new[1].pk}")
    expect(button).to_be_hidden()


def test_a_row_that_no_longer_matches_the_search_stays_and_changes(list_page: Page, older: Job) -> None:
    list_page.goto("/jobs?q=status:running")
    is_live(list_page)
    finish(older)
    expect(row_of(list_page, older).locator(".state")).to_contain_text("finished")
    assert list_page.locator("#rows > tr").count() == 2
    list_page.reload()
    expect(list_page.locator("#rows > tr")).to_have_count(1)


def test_the_first_job_appears_on_an_empty_list(open_page: OpenPage, boss: User) -> None:
    page = open_page(boss)
    page.goto("/jobs")
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
    is_live(page)
    job = job_row()
    page.get_by_role("button", name="1 new: show").click()
    expect(row_of(page, job)).to_be_visible()
    expect(page.get_by_text("There are no jobs yet.")).to_be_hidden()


def test_without_the_events_process_it_asks_and_then_goes_on_without_a_gap(
    list_page: Page, older: Job, without_events: Front, open_page: OpenPage, boss: User
) -> None:
    newer = Job.objects.latest("pk")
    job_page = open_page(boss)
    job_page.goto(f"/jobs/{newer.pk}")
    is_live(job_page)
    without_events.stop_events()
    is_live(list_page, "polling")
    is_live(job_page, "polling")
    finish(older)
    expect(row_of(list_page, older).locator(".state")).to_contain_text("finished")
    for page in (list_page, job_page):  # from here on nobody asks any more, until there is a stream
        page.route("**/jobs**", lambda route: route.abort())
    is_live(list_page, "no answer")
    finish(newer)
    without_events.start_events()
    for page in (list_page, job_page):
        page.unroute("**/jobs**")
        is_live(page)
    expect(row_of(list_page, newer).locator(".state")).to_contain_text("finished")
    expect(job_page.locator("#job-head")).to_contain_text("finished")
    last = job_row()
    list_page.get_by_role("button", name="1 new: show").click()
    expect(row_of(list_page, last)).to_be_visible()


def test_after_a_proxy_said_that_it_is_away_the_stream_is_opened_anew(
    open_page: OpenPage, boss: User, complaints: Complaints
) -> None:
    complaints.forgive("/api/v1.0/events?")
    page = open_page(boss)
    page.route("**/api/v1.0/events?**", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/events?" in request.url else None)
    page.goto("/jobs")
    is_live(page, "polling")
    job = job_row()
    expect(page.get_by_role("button", name="1 new: show")).to_be_visible()  # it asks meanwhile
    page.unroute("**/api/v1.0/events?**")
    is_live(page)
    begins = page.locator("body").get_attribute("data-after")
    assert len(streams) >= 2
    assert {parse_qs(urlsplit(url).query)["after"][0] for url in streams} == {begins}
    page.get_by_role("button", name="1 new: show").click()
    expect(row_of(page, job)).to_be_visible()


@pytest.mark.parametrize("how", ["key", "typing", "selecting"])
def test_nothing_moves_while_a_user_pauses_the_page_types_or_selects(
    list_page: Page, older: Job, open_page: OpenPage, boss: User, how: str
) -> None:
    other = open_page(boss)
    other.goto("/jobs")
    is_live(other)
    if how == "key":
        list_page.keyboard.press("p")
    elif how == "typing":
        list_page.locator("#search").fill("sync")
    else:
        list_page.locator("thead").select_text()
    is_live(list_page, "paused")
    finish(older)
    expect(row_of(other, older).locator(".state")).to_contain_text("finished")
    assert "running" in row_of(list_page, older).inner_text()
    if how == "key":
        list_page.keyboard.press("p")
    elif how == "typing":
        list_page.locator("#search").fill("")
    else:
        list_page.evaluate("getSelection().removeAllRanges()")
    is_live(list_page)
    expect(row_of(list_page, older).locator(".state")).to_contain_text("finished")


def test_rows_that_are_selected_hold_the_page_and_p_counts_in_a_checkbox_too(list_page: Page, older: Job) -> None:
    box = row_of(list_page, older).locator("input[type=checkbox]")
    box.check()
    is_live(list_page, "paused")
    box.uncheck()
    is_live(list_page)
    expect(box).to_be_focused()
    list_page.keyboard.press("p")
    is_live(list_page, "paused")
    list_page.keyboard.press("p")
    is_live(list_page)
    list_page.keyboard.press("x")
    expect(box).to_be_checked()


def test_the_tab_says_in_which_state_a_job_is(open_page: OpenPage, boss: User) -> None:
    job = job_row("RUNNING", function_name="backup")
    page = open_page(boss)
    page.goto(f"/jobs/{job.pk}")
    expect(page).to_have_title(re.compile(r"^▶.* #\d+ backup"))
    assert str(page.locator("#icon").get_attribute("href")).endswith("icon-running.svg")
    finish(job)
    expect(page).to_have_title(re.compile("^✓"))
    expect(page.locator("#icon")).to_have_attribute("href", re.compile(r"icon-finished\.svg$"))


def test_what_was_opened_stays_open_as_it_was_loaded(open_page: OpenPage, boss: User) -> None:
    job = job_row("RUNNING", task_name=sync_devices.name)
    report = {"failed": False, "job_tasks": [{"task_name": "Sync device config", "diff": "+vlan 7", "failed": False}]}
    device_row(job, "a1", report=json.dumps(report))
    page = open_page(boss)
    page.goto(f"/jobs/{job.pk}")
    page.locator("summary", has_text="a1").click()
    diff = page.get_by_text("+vlan 7")
    expect(diff).to_be_visible()
    device_row(job, "a2", reason="no route to host")
    finish(job)
    expect(page.locator("#devices")).to_contain_text("no route to host")
    expect(diff).to_be_visible()


def test_a_hidden_tab_gives_its_stream_back_and_catches_up(list_page: Page, older: Job) -> None:
    hide(list_page, hidden=True)
    is_live(list_page, "polling")
    finish(older)
    hide(list_page, hidden=False)
    is_live(list_page)
    expect(row_of(list_page, older).locator(".state")).to_contain_text("finished")


def test_a_hidden_tab_keeps_its_title_up_to_date(open_page: OpenPage, boss: User) -> None:
    job = job_row("RUNNING")
    page = open_page(boss)
    page.clock.install()
    page.goto(f"/jobs/{job.pk}")
    is_live(page)
    hide(page, hidden=True)
    finish(job)
    page.clock.fast_forward(31_000)
    expect(page).to_have_title(re.compile("^✓"))
    expect(page.locator("#job-head")).to_contain_text("running")


def test_a_user_who_is_signed_out_meanwhile_is_asked_to_sign_in(
    list_page: Page, older: Job, complaints: Complaints
) -> None:
    complaints.forgive("the server responded with a status of 401")
    Session.objects.all().delete()
    finish(older)
    list_page.wait_for_url("**/sign-in?next=/jobs")


def hide(page: Page, *, hidden: bool) -> None:
    """What a browser says to a page whose tab is left, or come back to."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_keys_move_open_and_go(list_page: Page, older: Job) -> None:
    list_page.keyboard.press("j")
    list_page.keyboard.press("j")
    list_page.keyboard.press("j")
    list_page.keyboard.press("k")
    list_page.keyboard.press("j")
    expect(row_of(list_page, older)).to_be_focused()
    list_page.keyboard.press("Enter")
    list_page.wait_for_url(f"**/jobs/{older.pk}")
    for key, path in (("l", "locks"), ("t", "timeline"), ("w", "workers"), ("d", "devices"), ("s", "schedules")):
        list_page.keyboard.press("g")
        list_page.keyboard.press(key)
        list_page.wait_for_url(f"**/{path}")
    list_page.keyboard.press("/")
    expect(list_page.locator("#search")).to_be_focused()
    list_page.keyboard.type("gj?x")
    expect(list_page.locator("#search")).to_have_value("gj?x")


def test_keys_can_be_switched_off_for_good(list_page: Page) -> None:
    list_page.keyboard.press("?")
    box = list_page.get_by_label("Keys are on")
    expect(box).to_be_checked()
    box.uncheck()
    list_page.reload()
    list_page.locator("main").click(position={"x": 2, "y": 2})
    list_page.keyboard.press("/")
    list_page.get_by_role("button", name="Keys").click()
    expect(box).not_to_be_checked()
    expect(list_page.locator("#search")).not_to_be_focused()
    box.check()
    list_page.keyboard.press("Escape")
    list_page.keyboard.press("/")
    expect(list_page.locator("#search")).to_be_focused()
