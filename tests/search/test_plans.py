"""Which index PostgreSQL uses for each term of a search, in a table of 60,000 jobs of the usual kinds."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job, JobDevice
from jobs.search.find import search
from jobs.sql import waiting
from tests.api.conftest import Api, api
from tests.factory import device_row, job_row
from tests.services import PostgreSQL

pytestmark = pytest.mark.needs("postgresql")
__all__ = ["api"]

JOBS: Final = 60_000
# As a network of a thousand devices leaves them behind: 200 people, a ticket for one job in ten, a day with 700 jobs.
_OTHERS: Final = {
    "function_name": "CASE WHEN n % 3 = 0 THEN 'sync_devices' ELSE 'collect_facts' END",
    "scheduled_by": "'user' || n % 200",
    "ticket_ref": "CASE WHEN n % 10 = 0 THEN 'NOC-' || n END",
    "lock_name": "CASE WHEN n % 3 = 0 THEN 'lock' || n % 600 END",
    "change_score": "CASE WHEN n % 50 = 0 THEN n % 100 ELSE 0 END",
    "finish_time": "now() - n * interval '2 minutes'",
}


def _fill() -> None:
    job = job_row(finished_devices="[]", comment="at night")
    device = device_row(job, "sw0")
    for row, values in (
        (job, {**_OTHERS, "id": f"{job.pk} + n"}),
        (device, {"job_id": f"{job.pk} + n", "host": "'sw' || n % 1000"}),
    ):
        table = row._meta.db_table
        columns = [str(field.column) for field in row._meta.concrete_fields if field.name not in ("change", "id")]
        columns += ["id"] * ("id" in values)
        picked = ", ".join(values.get(column, f"{table}.{column}") for column in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked}"
                f" FROM {table}, generate_series(1, {JOBS}) AS n WHERE {table}.id = {row.pk}"
            )
    for status, count in (("RUNNING", 20), ("SCHEDULED", 200), ("EXCEPTION", 50)):
        for _ in range(count):
            job_row(status, id=Job.objects.order_by("-pk").values_list("pk", flat=True)[0] + 1)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {Job._meta.db_table}, {JobDevice._meta.db_table}")


def _indexes(plan: Any) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    if plan["Node Type"] == "Seq Scan":
        yield f"all of {plan['Relation Name']}"
    for part in plan.get("Plans", ()):
        yield from _indexes(part)


def _used_by(line: str) -> set[str]:
    """Of the widest window: the same for every larger table."""
    with CaptureQueriesContext(connection) as queries:
        search(line, size=100)
    return _plan_of([query["sql"] for query in queries if " >= " in query["sql"]][-1])


def _plan_of(sql: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        (plan,) = cursor.fetchone()
    return set(_indexes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


@pytest.mark.parametrize(
    "asked",
    ["filter[status]=scheduled", "filter[status][in]=RUNNING,scheduled", "filter[status][ne]=finished"],
)
def test_to_count_the_waiting_jobs_looks_at_no_others(
    postgresql: PostgreSQL, api: Api, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FEW", 100)  # which are asked for by their ids
    _fill()
    with CaptureQueriesContext(connection) as queries:
        reply = api.get(f"/jobs?{asked}&per_page=50")
    assert (reply.status, len(reply.data["jobs"]), int(reply.headers["X-Total-Count"]) >= 200) == (200, 50, True)
    counts = (query["sql"] for query in queries if query["sql"].startswith("SELECT count(*) FROM jobs_job WHERE "))
    (count,) = (sql for sql in counts if '"status"' in sql)
    assert not _plan_of(count) & {"all of jobs_job", "jobs_job_pkey"}


def test_each_part_is_looked_up_by_its_index(postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FEW", 100)
    _fill()
    expected = {
        "status:running": {"job_running"},
        "status:exception": {"job_exception"},
        "status:scheduled": {"job_due", "job_sent", "job_line"},
        "device:sw17": {"jobdevice_history", "jobs_job_pkey"},
        "by:user17": {"job_by_scheduled_by"},
        "ticket:NOC-40": {"job_by_ticket_ref"},
        "lock:lock3": {"job_by_lock_name"},
        "score:>90": {"job_by_change_score"},
        "score:49": {"job_by_change_score"},
        "since:30m": {"job_finish_time"},
        "since:30m by:user17": {"job_by_scheduled_by"},
        # No index has these: ids are looked through in windows, for two seconds at most.
        "function:prune": {"jobs_job_pkey"},
        "status:finished score:0 function:prune": {"jobs_job_pkey"},
        '"no such text"': {"jobs_job_pkey"},
    }
    for line, indexes in expected.items():
        used = _used_by(line)
        assert (line, indexes <= used) == (line, True), used
        assert not any(name.startswith("all of jobs_job") for name in used), (line, used)
