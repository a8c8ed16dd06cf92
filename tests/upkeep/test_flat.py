"""However many jobs have ended or are due later, each step reads only a few rows, by PostgreSQL's own plans."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.dispatch import line, sending
from jobs.upkeep import lines
from jobs.upkeep.prune import Prune
from jobs.upkeep.republish import Republish
from jobs.upkeep.rescue import Rescue
from jobs.upkeep.runner import chores, repairs
from jobs.upkeep.unserved import unserved
from locks.models import Lock
from tests import fake_jobs
from tests.factory import heartbeat
from tests.services import PostgreSQL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs("postgresql")]

_ROWS = 20_000
_FEW = 250  # a batch of what was started lately is 200

_ENDED = """
    INSERT INTO jobs_job (status, scheduled_time, start_time, finish_time, dispatched_at, function_name,
        start_arguments, task_name, queue, priority, parked, attempt, retries, rerun_if_lost, exception_type)
    SELECT CASE WHEN mod(g, 20) = 0 THEN 'EXCEPTION' ELSE 'FINISHED' END, t, t, t, t, 'nothing',
        '{}', 'x', 'default', 0, false, 1, 0, false, CASE WHEN mod(g, 20) = 0 THEN 'ValueError' END
    FROM (SELECT g, now() - interval '1 second' * g AS t FROM generate_series(1, %(rows)s) g) AS times
"""
_LATER = """
    INSERT INTO jobs_job (status, scheduled_time, function_name, start_arguments, task_name, queue, priority, parked,
        attempt, retries, rerun_if_lost, lock_name)
    SELECT 'SCHEDULED', now() + interval '1 hour' + interval '1 second' * g, 'nothing', '{}', 'x', 'default', 0, false,
        0, 0, false, 'devices' FROM generate_series(1, %(rows)s) g
"""


@pytest.fixture
def many_jobs(postgresql: PostgreSQL) -> None:
    Lock.objects.create(name="devices")
    with connection.cursor() as cursor:
        cursor.execute(_ENDED, {"rows": _ROWS})
        cursor.execute(_LATER, {"rows": _ROWS})
        cursor.execute("ANALYZE")
    fake_jobs.nothing.schedule()


def steps() -> dict[str, Callable[[], Any]]:
    own = heartbeat(kind="beat")
    upkeep = {"repairs": repairs(own_heartbeat=lambda: own.pk), "chores": chores()}
    return {
        "rescue": Rescue(own_heartbeat=lambda: own.pk).step,
        "free_locks": lines.free_abandoned,
        "wake": lines.wake_first,
        "lock_wait": lines.end_overdue,
        "republish": Republish().step,
        "unserved": unserved,
        "prune": Prune().step,
        "next due": sending.seconds_to_next_due,
        "due": sending.dispatch_due,
        "line": lambda: line.wake("devices"),
        **{f"all {name}": partial(each.to_do, each.asked) for name, each in upkeep.items()},
    }


def test_no_step_reads_more_than_a_few_rows(many_jobs: None, settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = settings.CNAASJOBS_RETENTION_EXCEPTION_DAYS = 365
    greedy = {}
    for name, step in steps().items():
        with CaptureQueriesContext(connection) as captured:
            step()
        statements = [query["sql"] for query in captured.captured_queries]
        read = max((rows_read(sql) for sql in statements if sql.startswith(("SELECT", "UPDATE"))), default=0)
        if read > _FEW:
            greedy[name] = read
    assert greedy == {}


def rows_read(sql: str) -> int:
    """Rows of jobs_job that the statement looks at."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        found = cursor.fetchone()[0]
    plan = (found if isinstance(found, list) else json.loads(found))[0]["Plan"]
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if node.get("Relation Name") == "jobs_job"
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
