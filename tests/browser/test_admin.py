"""The admin in a real browser: what an operator does there, and that it looks as it should."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import Page

from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import AuditEntry
from jobs.states import Status
from locks.service import held
from tests import fake_jobs
from tests.browser.conftest import PASSWORD
from tests.browser.thread import expect
from tests.factory import NOON, heartbeat, job_in, job_row

pytestmark = pytest.mark.needs("chromium")

Shoot = Callable[[Page, str], None]


def colour(page: Page, css: str) -> str:
    return str(page.locator(css).first.evaluate("element => getComputedStyle(element).backgroundColor"))


def sign_in(page: Page, name: str, password: str) -> None:
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("input[type=submit]")


def test_a_stranger_signs_in_on_a_page_with_its_looks(page: Page, boss: None) -> None:
    page.goto("/admin/jobs/job/")
    assert "/admin/login/" in page.url
    assert colour(page, "#header") == "rgb(65, 118, 144)"  # the style sheet came through gunicorn
    sign_in(page, "nobody", "wrong")
    expect(page.locator(".errornote")).to_contain_text("Please enter the correct username and password")
    sign_in(page, "boss", PASSWORD)
    expect(page.locator("#result_list, #changelist")).not_to_have_count(0)
    assert page.url.endswith("/admin/jobs/job/")


def test_the_front_page_leads_to_the_list_of_jobs_with_a_colour_for_each_outcome(
    bosses_page: Page, shoot: Shoot
) -> None:
    for status in Status:
        job_in(status)
    job_row("EXCEPTION", exception_type="JobAborted", worker="celery@w1")
    lost = job_row("EXCEPTION", exception_type="WorkerLost", worker="celery@w1")
    heartbeat()
    page = bosses_page
    page.goto("/admin/")
    expect(page.locator("body")).to_contain_text("1 running", use_inner_text=True)
    shoot(page, "front-page")
    page.click('#shortcuts a[href="/admin/jobs/job/"]')
    expect(page.locator("#result_list")).to_contain_text("WorkerLost")
    looks = {colour(page, f".badge.is-{look}") for look in ("running", "finished", "exception", "aborted", "lost")}
    assert len(looks) == 5
    shoot(page, "jobs")
    page.click('#changelist-filter a[href*="status=EXCEPTION"]')
    expect(page.locator("#result_list")).not_to_contain_text("RUNNING")
    page.fill("#searchbar", str(lost.pk))
    page.click("#changelist-search input[type=submit]")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list")).to_contain_text("WorkerLost")


def test_the_list_and_a_job_fit_the_window(bosses_page: Page) -> None:
    tasks = [{"diff": "+a", "failed": False, "result": None, "task_name": "Sync device config"}]
    report = {"failed": False, "job_tasks": tasks}
    synced = job_row(task_name=sync_devices.name, result=json.dumps({"devices": {"x" * 255: report}}))
    bosses_page.goto(f"/admin/jobs/job/{synced.pk}/change/")
    expect(bosses_page.locator("details.device summary")).to_contain_text("x" * 255)
    assert bosses_page.evaluate("document.documentElement.scrollWidth > innerWidth") is False
    job_row(
        "EXCEPTION",
        exception_type="TimeLimitExceeded",
        function_name="sync_devices_of_the_campus (dry_run)",
        worker="celery@worker-bcf707b1@automation.campus.example.net",
        lock_name="devices_of_the_campus_in_the_ea",
        scheduled_by="schedule of every night",
        finish_time=NOON + timedelta(minutes=59, seconds=59),
    )
    bosses_page.set_viewport_size({"width": 1280, "height": 800})
    bosses_page.goto("/admin/jobs/job/")
    results = bosses_page.locator(".results")
    assert results.evaluate("element => element.scrollWidth > element.clientWidth") is False


def test_abort_from_the_list_asks_first(bosses_page: Page, shoot: Shoot) -> None:
    job = job_in(Status.SCHEDULED)
    page = bosses_page
    page.goto("/admin/jobs/job/")
    page.check("#result_list .action-select")
    page.select_option("select[name=action]", "abort_selected")
    page.click(".actions button[type=submit]")
    expect(page.locator("body")).to_contain_text(f"Abort job {job.pk}?")
    shoot(page, "abort")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"
    page.fill("#id_reason", "wrong window")
    page.click("input.danger")
    expect(page.locator("body")).to_contain_text("wrong window (aborted by boss)")
    shoot(page, "aborted")
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "JobAborted")
    assert AuditEntry.objects.get(action="aborted").who == "boss"


def test_abort_from_the_jobs_page_can_be_thought_over(bosses_page: Page) -> None:
    job = job_in(Status.RUNNING)
    page = bosses_page
    page.goto(f"/admin/jobs/job/{job.pk}/change/")
    page.click(".object-tools a.is-danger")
    page.click("a.cancel-link")
    expect(page.locator("body")).to_contain_text("RUNNING")
    job.refresh_from_db()
    assert job.abort_reason is None
    page.click(".object-tools a.is-danger")
    page.click("input.danger")
    expect(page.locator("body")).to_contain_text("told to stop")
    job.refresh_from_db()
    assert job.abort_reason == "Aborted in the admin (aborted by boss)"


def test_clearing_the_lock_of_a_running_job_asks_first(bosses_page: Page, shoot: Shoot) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    scheduling.schedule(fake_jobs.with_lock, {})
    page = bosses_page
    page.goto("/admin/")
    page.click('#shortcuts a[href="/admin/locks/lock/"]')
    expect(page.locator("td.field-clear_link a")).to_be_visible()
    shoot(page, "locks")
    page.click("td.field-clear_link a")
    expect(page.locator("body")).to_contain_text("The holder still runs.")
    shoot(page, "clear")
    assert held().exists()
    page.click("input.danger")
    expect(page.locator("body")).to_contain_text("Lock devices is cleared")
    assert not held().exists()


def test_a_schedule_with_bad_arguments_shows_the_error_beside_its_field(bosses_page: Page, shoot: Shoot) -> None:
    interval = IntervalSchedule.objects.create(every=10, period="minutes")
    page = bosses_page
    page.goto("/admin/django_celery_beat/periodictask/add/")
    page.fill("#id_name", "probe")
    page.select_option("#id_task", "tests.fake_jobs.echo")
    expect(page.locator(".field-task .signature")).to_contain_text("echo(*, value: Any, dry_run: bool = False)")
    page.select_option("#id_interval", str(interval.pk))
    page.fill("#id_kwargs", '{"valeu": 7}')
    page.click("input[name=_save]")
    expect(page.locator(".field-kwargs .errorlist")).to_contain_text("argument: 'value'")
    shoot(page, "schedule-error")
    assert not PeriodicTask.objects.exists()
    page.fill("#id_kwargs", '{"value": 7}')
    page.click("input[name=_save]")
    expect(page.locator("body")).to_contain_text("was added successfully")
    shoot(page, "schedules")
    assert PeriodicTask.objects.get().kwargs == '{"value": 7}'


def test_a_sync_result_shows_its_diff_line_by_line(bosses_page: Page, shoot: Shoot) -> None:
    diff = "@@ -1,2 +1,2 @@\\n hostname a1\\n-ip routing\\n+no ip routing"
    tasks = f'[{{"diff": "{diff}", "failed": false, "result": null, "task_name": "Sync device config"}}]'
    result = f'{{"devices": {{"a1": {{"failed": false, "job_tasks": {tasks}}}}}}}'
    job = job_row(task_name=sync_devices.name, result=result)
    page = bosses_page
    page.goto(f"/admin/jobs/job/{job.pk}/change/")
    added, removed = page.locator("pre.diff .added"), page.locator("pre.diff .removed")
    assert (added.inner_text(), removed.inner_text()) == ("+no ip routing", "-ip routing")
    below, above = added.bounding_box(), removed.bounding_box()
    assert below is not None
    assert above is not None
    assert below["y"] > above["y"]  # a line each, one below the other
    assert colour(page, "pre.diff .added") != colour(page, "pre.diff .removed")
    shoot(page, "sync")


def test_a_pages_complaint_is_heard(page: Page, complaints: list[str]) -> None:
    """Else the silence of all other tests would say nothing."""
    page.goto("/healthz")
    page.evaluate("() => { setTimeout(() => { throw new Error('from a script') }); console.error('by hand') }")
    page.evaluate("() => fetch('http://localhost:9/').catch(() => null)")
    page.evaluate("() => fetch('/nothing/here').then(answer => answer.text())")
    heard = "\n".join(complaints)
    assert "from a script" in heard
    assert "by hand" in heard
    assert "asked another host: http://localhost:9/" in heard
    assert "404" in heard
    complaints.clear()
