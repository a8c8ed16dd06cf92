"""Times on a page: in UTC, in the browser's zone, or relative to now, as the person chose."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User

from jobs.models import JobLog
from tests.browser.conftest import OpenPage
from tests.browser.thread import expect
from tests.factory import job_row

pytestmark = pytest.mark.needs("chromium")


def test_times_are_utc_local_or_relative_and_that_is_remembered(open_page: OpenPage, boss: User) -> None:
    start = datetime(2025, 7, 1, 22, 30, tzinfo=UTC)
    job = job_row(scheduled_time=start, start_time=start, finish_time=start + timedelta(minutes=5))
    year = datetime.now(UTC).year
    last = job_row("SCHEDULED", scheduled_time=datetime(year, 12, 31, 23, 30, tzinfo=UTC))
    line = [start.isoformat(), "INFO", "devices", None, "confirmed"]
    JobLog.objects.create(job=job, lines=1, size=9, text=json.dumps([line]))
    page = open_page(boss, timezone_id="Europe/Stockholm")
    page.goto("/jobs")
    when, zone = page.locator(f"#job-{job.pk}").locator(".when"), page.locator("th [data-zone]")
    expect(when).to_have_text("2025-07-01 22:30:00")
    expect(page.locator(f"#job-{last.pk}").locator(".when")).to_have_text("12-31 23:30:00")
    expect(zone).to_have_text("UTC")
    page.keyboard.press("z")
    is_winter = datetime.now(ZoneInfo("Europe/Stockholm")).tzname() == "CET"
    summers, winters = (" CEST", "") if is_winter else ("", " CET")  # a time in another zone than the heading's says so
    expect(zone).to_have_text("CET" if is_winter else "CEST")
    expect(when).to_have_text(f"2025-07-02 00:30:00{summers}")
    expect(page.locator(f"#job-{last.pk}").locator(".when")).to_have_text(f"{year + 1}-01-01 00:30:00{winters}")
    page.goto(f"/jobs/{job.pk}")
    expect(page.locator("#job-head time").first).to_have_text("2025-07-02 00:30:00 CEST")
    expect(page.locator("#log-of-job")).to_contain_text("Log (CEST)")
    expect(page.locator("#log time")).to_have_text("00:30:00")
    assert "2025-07-01 22:30:00" in str(page.locator("#job-head time").first.get_attribute("title"))
    page.locator("[data-times]").select_option("relative")
    expect(page.locator("#job-head time").first).to_contain_text("ago")
