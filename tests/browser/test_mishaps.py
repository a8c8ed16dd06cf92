"""Mishaps of users: a session that ends in the middle, a button that is clicked twice, the browser's back button."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Page

from jobs.models import AuditEntry, Job
from jobs.states import Status
from tests.browser.conftest import PASSWORD, Complaints
from tests.browser.thread import expect
from tests.factory import device_row, job_in

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def job(transactional_db: None) -> Job:
    return job_in(Status.SCHEDULED)


def test_a_session_that_ended_is_begun_again_and_nothing_was_done(
    bosses_page: Page, job: Job, complaints: Complaints
) -> None:
    page = bosses_page
    page.goto(f"/jobs/abort?id={job.pk}")
    complaints.forgive("/api/v1.0/events")  # which ends with the session, too
    complaints.forgive("401")
    Session.objects.all().delete()
    page.fill("#reason", "wrong window & 'site'")
    page.locator("main form button.danger").click()
    expect(page.locator("#id_username")).to_be_visible()
    job.refresh_from_db()
    assert job.status == Status.SCHEDULED
    page.fill("#id_username", "boss")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    expect(page.locator("header.top")).to_be_visible()
    expect(page.locator(".say").first).to_contain_text("nothing was done")
    expect(page.locator("#reason")).to_have_value("wrong window & 'site'")
    job.refresh_from_db()
    assert job.status == Status.SCHEDULED
    page.locator("main form button.danger").click()
    expect(page.locator(".reason")).to_contain_text("wrong window & 'site' (aborted by boss)")


def test_a_button_that_is_hit_twice_does_it_once_and_says_so(bosses_page: Page, job: Job) -> None:
    page = bosses_page
    page.goto(f"/jobs/abort?id={job.pk}")
    page.locator("main form button.danger").dblclick()
    expect(page.locator("h1")).to_contain_text(f"#{job.pk}")
    expect(page.locator("main")).to_contain_text("JobAborted")
    assert AuditEntry.objects.filter(action="aborted", job_id=job.pk).count() == 1


def test_the_way_back_leads_to_a_page_that_is_true(bosses_page: Page, job: Job) -> None:
    page = bosses_page
    page.goto(f"/jobs/{job.pk}")
    page.get_by_role("link", name="Abort…").click()
    page.locator("main form button.danger").click()
    expect(page.locator(".say")).to_contain_text("Aborted")
    page.go_back()
    page.locator("main form button.danger, main a.button").first.click()
    expect(page.locator("main")).to_contain_text("JobAborted")
    assert AuditEntry.objects.filter(action="aborted", job_id=job.pk).count() == 1


def test_an_error_replaces_nothing_and_a_right_that_is_gone_is_reported(
    bosses_page: Page, boss: User, complaints: Complaints
) -> None:
    page, job = bosses_page, job_in(Status.RUNNING)
    device_row(job, "a1")
    complaints.forgive("the server responded with a status of")
    page.route("**/devices/a1?part=1", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    page.goto(f"/jobs/{job.pk}")
    with page.expect_response("**/devices/a1?part=1"):
        page.locator("summary", has_text="a1").click()
    expect(page.get_by_role("link", name="Diff and configuration of a1")).to_be_visible()
    page.route(f"**/jobs/{job.pk}", lambda route: route.fulfill(status=404, body="pruned"))
    page.evaluate(COMES_BACK)
    expect(page.locator("#told")).to_have_text("No answer")
    expect(page.locator("#live")).to_have_attribute("title", "The server answered 404")
    page.unroute(f"**/jobs/{job.pk}")
    User.objects.filter(pk=boss.pk).update(is_superuser=False)
    page.evaluate(COMES_BACK)
    expect(page.locator("h1")).to_have_text("You may not see this")


COMES_BACK = "document.dispatchEvent(new Event('visibilitychange'))"
