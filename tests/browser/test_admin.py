"""The admin in a real browser: what an operator does there, and that it looks as it should."""

from collections.abc import Callable

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from selenium.webdriver.common.by import By

from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import AuditEntry, Job
from jobs.states import Status
from locks.service import held
from tests import fake_jobs
from tests.browser.conftest import Browser
from tests.factory import heartbeat, job_in, job_row

pytestmark = pytest.mark.needs("chromium")

LogIn = Callable[[], Browser]


def test_a_stranger_gets_the_login_page_with_its_looks(browser: Browser) -> None:
    browser.open("/jobs/job/")
    assert "/admin/login/" in browser.driver.current_url
    assert browser.colour("#header") == "rgba(65, 118, 144, 1)"  # the style sheet came through gunicorn
    browser.type("#id_username", "nobody")
    browser.type("#id_password", "wrong")
    browser.click("input[type=submit]")
    assert "Please enter the correct username and password" in browser.text
    assert browser.complaints() == []


def test_the_front_page_and_the_list_of_jobs(logged_in: LogIn) -> None:
    for status in Status:
        job_in(status)
    job_row("EXCEPTION", exception_type="JobAborted", worker="celery@w1")
    job_row("EXCEPTION", exception_type="WorkerLost", worker="celery@w1")
    heartbeat()
    browser = logged_in()
    assert "1 running" in browser.text.replace("\n", " ")
    browser.shoot("front-page")
    browser.click('#shortcuts a[href="/admin/jobs/job/"]')
    looks = {browser.colour(f".badge.is-{look}") for look in ("running", "finished", "exception", "aborted", "lost")}
    assert len(looks) == 5
    browser.shoot("jobs")
    browser.click('#changelist-filter a[href*="status=EXCEPTION"]')
    assert "RUNNING" not in browser.find("#result_list").text
    browser.type("#searchbar", str(Job.objects.get(exception_type="WorkerLost").pk))
    browser.click("#changelist-search input[type=submit]")
    assert "WorkerLost" in browser.find("#result_list").text
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, "#result_list tbody tr")) == 1
    assert browser.complaints() == []


def test_the_list_fits_the_window(logged_in: LogIn) -> None:
    job_row(
        "EXCEPTION",
        exception_type="TimeLimitExceeded",
        worker="celery@w1",
        lock_name="devices",
        scheduled_by="night schedule",
    )
    browser = logged_in()
    browser.open("/jobs/job/")
    too_wide = "return document.querySelector('.results').scrollWidth > document.querySelector('.results').clientWidth"
    assert browser.driver.execute_script(too_wide) is False


def test_abort_from_the_list_asks_first(logged_in: LogIn) -> None:
    job = job_in(Status.SCHEDULED)
    browser = logged_in()
    browser.open("/jobs/job/")
    browser.find("#result_list .action-select").click()
    browser.choose("select[name=action]", "abort_selected")
    browser.click(".actions button[type=submit]")
    assert f"Abort job {job.pk}?" in browser.text
    browser.shoot("abort")
    job.refresh_from_db()
    assert job.status == "SCHEDULED"
    browser.type("#id_reason", "wrong window")
    browser.click("input.danger")
    assert "wrong window (aborted by boss)" in browser.text
    browser.shoot("aborted")
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "JobAborted")
    assert AuditEntry.objects.get(action="aborted").who == "boss"


def test_abort_from_the_jobs_page_can_be_thought_over(logged_in: LogIn) -> None:
    job = job_in(Status.RUNNING)
    browser = logged_in()
    browser.open(f"/jobs/job/{job.pk}/change/")
    browser.click(".object-tools a.is-danger")
    browser.click("a.cancel-link")
    assert "RUNNING" in browser.text
    job.refresh_from_db()
    assert job.abort_reason is None
    browser.click(".object-tools a.is-danger")
    browser.click("input.danger")
    assert "told to stop" in browser.text
    job.refresh_from_db()
    assert job.abort_reason == "Aborted in the admin (aborted by boss)"


def test_clearing_the_lock_of_a_running_job_asks_first(logged_in: LogIn) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    scheduling.schedule(fake_jobs.with_lock, {})
    browser = logged_in()
    browser.click('#shortcuts a[href="/admin/locks/lock/"]')
    browser.shoot("locks")
    browser.click("td.field-clear_link a")
    assert "The holder still runs." in browser.text
    browser.shoot("clear")
    assert held().exists()
    browser.click("input.danger")
    assert "Lock devices is cleared" in browser.text
    assert not held().exists()


def test_a_schedule_with_bad_arguments_shows_the_error_beside_its_field(logged_in: LogIn) -> None:
    interval = IntervalSchedule.objects.create(every=10, period="minutes")
    browser = logged_in()
    browser.open("/django_celery_beat/periodictask/add/")
    browser.type("#id_name", "probe")
    browser.choose("#id_task", "tests.fake_jobs.echo")
    assert "echo(*, value: Any, dry_run: bool = False)" in browser.find(".field-task .signature").text
    browser.choose("#id_interval", str(interval.pk))
    browser.type("#id_kwargs", '{"valeu": 7}')
    browser.click("input[name=_save]")
    assert "missing a required argument: 'value'" in browser.find(".field-kwargs .errorlist").text
    browser.shoot("schedule-error")
    assert not PeriodicTask.objects.exists()
    browser.type("#id_kwargs", '{"value": 7}')
    browser.click("input[name=_save]")
    assert "was added successfully" in browser.text
    browser.shoot("schedules")
    assert PeriodicTask.objects.get().kwargs == '{"value": 7}'
    assert browser.complaints() == []


def test_a_sync_result_with_its_diff(logged_in: LogIn) -> None:
    diff = "@@ -1,2 +1,2 @@\\n hostname a1\\n-ip routing\\n+no ip routing"
    tasks = f'[{{"diff": "{diff}", "failed": false, "result": null, "task_name": "Sync device config"}}]'
    result = f'{{"devices": {{"a1": {{"failed": false, "job_tasks": {tasks}}}}}}}'
    job = job_row(task_name=sync_devices.name, result=result)
    browser = logged_in()
    browser.open(f"/jobs/job/{job.pk}/change/")
    added, removed = browser.find("pre.diff .added"), browser.find("pre.diff .removed")
    assert (added.text, removed.text) == ("+no ip routing", "-ip routing")
    assert added.location["y"] > removed.location["y"]  # a line each, one below the other
    assert browser.colour("pre.diff .added") != browser.colour("pre.diff .removed")
    browser.shoot("sync")
