"""Checks of pages at any number of jobs: which statements they execute, and which of these would read all jobs."""

import re
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.models import Watermark
from jobs.sql import totals
from tests.services import PostgreSQL
from tests.waiting import wait_until

MANY = 60_000


def statements_of(client: Client, path: str, *, statuses: tuple[int, ...] = (200,)) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        response: Any = client.get(path)
    assert response.status_code in statuses, (path, response.status_code)
    asked = (str(query["sql"]) for query in captured.captured_queries)
    return [sql for sql in asked if not sql.startswith("PREPARE ")]  # once for each connection


def over_all_jobs(statements: Iterable[str]) -> list[str]:
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


def fill(postgresql: PostgreSQL) -> None:
    """Enough jobs that the planner takes an index wherever there is one, counted as upkeep does."""
    postgresql.execute(
        "INSERT INTO jobs_job (status, scheduled_time, start_time, finish_time, function_name, task_name, queue,"
        " start_arguments, priority, parked, attempt, retries, rerun_if_lost)"
        " SELECT 'FINISHED', now(), now(), now() - g * interval '1 minute', 'sync_devices', 'x', 'default', '{}', 0,"
        f" false, 1, 0, false FROM generate_series(1, {MANY}) g"
    )
    postgresql.execute("ANALYZE")
    wait_until(lambda: not totals.advance() and Watermark.objects.filter(below__gt=MANY).exists())


def walks(postgresql: PostgreSQL, statements: Iterable[str]) -> list[str]:
    """Those whose plan reads the whole table of jobs, with the plan."""
    found = []
    for sql in statements:
        if sql.startswith("SELECT"):
            plan = "\n".join(str(row[0]) for row in postgresql.execute(f"EXPLAIN {sql}".replace("%", "%%")))
            if "Seq Scan on jobs_job " in plan:
                found.append(f"{sql}\n{plan}")
    return found
