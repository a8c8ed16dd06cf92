"""The admin at any number of jobs: no page counts, sorts or walks all of them."""

import re
from collections.abc import Iterable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.states import Status
from tests import fake_jobs
from tests.admin.conftest import Admin
from tests.factory import audit_entries, heartbeat, job_in, job_row, job_rows
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
    with CaptureQueriesContext(connection) as captured:
        assert admin.client.get(f"/admin{path}").status_code == 200, path
    return [query["sql"] for query in captured.captured_queries]


def _over_all_jobs(statements: Iterable[str]) -> list[str]:
    """Statements that count, sort or list jobs without a bound."""
    found = []
    for sql in statements:
        if not re.search(r'FROM "jobs_(job|joboutcome|auditentry)"', sql):
            continue
        if re.search(r"\b(COUNT|SUM|MIN|MAX)\(", sql):
            if "LIMIT" not in sql and "WHERE" not in sql:
                found.append(sql)
        elif "SELECT DISTINCT" in sql or ("LIMIT" not in sql and "WHERE" not in sql) or "OFFSET" in sql:
            found.append(sql)
    return found


@pytest.mark.parametrize("path", PAGES)
def test_no_page_counts_or_lists_all_jobs(boss: Admin, path: str) -> None:
    path = path.format(**_some_of_everything())
    job_rows(200)
    assert _over_all_jobs(_queries(boss, path)) == []


def test_the_check_itself_finds_a_count() -> None:
    unbounded = ['SELECT COUNT(*) AS "__count" FROM "jobs_job"', 'SELECT DISTINCT "queue" FROM "jobs_job"']
    assert _over_all_jobs(unbounded) == unbounded


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
    postgresql.execute(
        "INSERT INTO jobs_job (status, scheduled_time, start_time, finish_time, function_name, task_name, queue,"
        " start_arguments, priority, parked, attempt, retries, rerun_if_lost)"
        " SELECT 'FINISHED', now(), now(), now() - g * interval '1 minute', 'sync_devices', 'x', 'default', '{}', 0,"
        " false, 1, 0, false FROM generate_series(1, 60000) g"
    )
    postgresql.execute("ANALYZE")
    assert Job.objects.count() > 60_000
    walks = {}
    for path in PAGES:
        for sql in _queries(boss, path.format(**ids)):
            if sql.startswith("SELECT"):
                plan = "\n".join(str(row[0]) for row in postgresql.execute(f"EXPLAIN {sql}".replace("%", "%%")))
                if "Seq Scan on jobs_job " in plan:
                    walks[path] = f"{sql}\n{plan}"
    assert walks == {}
