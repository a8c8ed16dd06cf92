"""The admin at any number of jobs: no page counts, sorts or walks all of them."""

import pytest
from django.contrib.auth.models import User

from jobs.states import Status
from tests import fake_jobs
from tests.admin.conftest import Admin
from tests.factory import audit_entries, heartbeat, job_in, job_row, job_rows
from tests.large import fill, over_all_jobs, statements_of, walks
from tests.services import PostgreSQL

PAGES = (
    "/",
    "/jobs/job/",
    "/jobs/job/?before={waiting}",
    "/jobs/job/?after={running}",
    "/jobs/job/?status=RUNNING",
    "/jobs/job/?status=FINISHED",
    "/jobs/job/?status=in+line",
    "/jobs/job/?exception_type=WorkerLost",
    "/jobs/job/?function_name=sync_devices&worker=celery@w1&queue=default",
    "/jobs/job/?finish_time_from=24h&scheduled_time_to=2030-01-01T00:00&start_time_from=7d",
    "/jobs/job/?q=7",
    "/jobs/job/?q=sync",
    "/jobs/job/?q=nothing+like+it",
    "/jobs/job/{running}/change/",
    "/jobs/job/{waiting}/change/",
    "/jobs/job/abort/?ids={running}",
    "/locks/lock/",
    "/jobs/heartbeat/",
    "/jobs/auditentry/",
    "/jobs/auditentry/?q=nothing+like+it",
    "/django_celery_beat/periodictask/",
)


def _some_of_everything() -> dict[str, int]:
    """Returns the ids that the addresses of pages need."""
    running = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    waiting = job_in(Status.SCHEDULED, task=fake_jobs.with_lock)
    job_row("EXCEPTION", exception_type="WorkerLost")
    heartbeat()
    audit_entries(range(1, 80))
    return {"running": running.pk, "waiting": waiting.pk}


def _queries(admin: Admin, path: str) -> list[str]:
    return statements_of(admin.client, f"/admin{path}")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_counts_or_lists_all_jobs(boss: Admin, path: str) -> None:
    path = path.format(**_some_of_everything())
    job_rows(200)
    assert over_all_jobs(_queries(boss, path)) == []


def test_the_check_itself_finds_a_count() -> None:
    unbounded = ['SELECT COUNT(*) AS "__count" FROM "jobs_job"', 'SELECT DISTINCT "queue" FROM "jobs_job"']
    assert over_all_jobs(unbounded) == unbounded


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_no_more_at_800_jobs_than_at_80(boss: Admin, path: str) -> None:
    path = path.format(**_some_of_everything())
    job_rows(80)
    _queries(boss, path)
    before = len(_queries(boss, path))
    job_rows(720)
    assert len(_queries(boss, path)) <= before


@pytest.mark.needs("postgresql")
def test_on_postgresql_no_page_reads_the_whole_table(postgresql: PostgreSQL) -> None:
    """Every statement of every page is explained on 60,000 rows, and a plan that walks the table is a failure."""
    boss = Admin(User.objects.create_superuser("boss", password="correct horse"))
    ids = _some_of_everything()
    fill(postgresql)
    found = {path: walks(postgresql, _queries(boss, path.format(**ids))) for path in PAGES}
    assert {path: plans for path, plans in found.items() if plans} == {}
