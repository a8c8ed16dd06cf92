"""Frequent queries read few rows, by PostgreSQL's own plans, even if its statistics are out of date."""

from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection
from django.test import Client

from cnaasjobs.db.clock import database_now
from console.reads import health
from jobs.admin_pages import dashboard
from jobs.dispatch import line
from jobs.lifecycle import participants
from jobs.metrics import collect
from jobs.models import Job, JobDevice
from jobs.operating import again
from jobs.search import chosen, counts
from jobs.sql import store, totals, waiting
from jobs.sql.device_signature import NewFleet
from jobs.upkeep import invite
from jobs.upkeep.runner import Upkeep, chores, repairs
from jobs.waiting.queues import queues_of
from locks.models import Lock
from tests.factory import claimed, device_row, job_row, job_rows
from tests.fake_jobs import nothing
from tests.sql.plans import asked, plan_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("postgresql"),
    pytest.mark.usefixtures("postgresql"),
]

_JOBS = 20_000
_DEVICES = 2000
_FEW = 250

_DEVICE_ROWS = """
    INSERT INTO jobs_jobdevice (job_id, place, host, state, failed, step, steps_over, tries, finish_time)
    SELECT id, n, 'sw' || n, %(state)s, false, '', 0, 0, CASE WHEN %(state)s = 'DONE' THEN now() END
    FROM jobs_job, generate_series(1, %(devices)s) AS n ORDER BY id, n
"""
_LINE = """
    INSERT INTO jobs_job (status, scheduled_time, function_name, start_arguments, task_name, queue, priority, parked,
        attempt, retries, rerun_if_lost, lock_name, waiting_since)
    SELECT 'SCHEDULED', now() - interval '1 hour', 'nothing', '{}', 'x', 'default', 0, mod(n, 2) = 0, 0, 0, false,
        CASE WHEN mod(n, 2) = 0 THEN 'devices' END, CASE WHEN mod(n, 2) = 0 THEN now() END
    FROM generate_series(1, %s) AS n
"""
_END = "UPDATE jobs_job SET status = 'FINISHED', parked = false, start_time = now(), finish_time = now()"


@pytest.fixture
def after_a_long_line() -> None:
    """Many waited for a lock or for Beat when PostgreSQL last took its statistics. They have ended since."""
    Lock.objects.create(name="devices")
    with connection.cursor() as cursor:
        cursor.execute(_LINE, [_JOBS])
        cursor.execute("ANALYZE")
        cursor.execute(_END)


@pytest.mark.parametrize(
    "ask",
    [lambda: queues_of(["default"]), lambda: repairs(own_heartbeat=lambda: None).step()],
    ids=["queue", "repairs"],
)
def test_what_waits_is_found_in_its_index_when_only_few_are_left(
    after_a_long_line: None, ask: Callable[[], object]
) -> None:
    assert max(rows_read(sql, "jobs_job") for sql in asked(ask)) < _FEW


@pytest.mark.parametrize("upkeep", [repairs(own_heartbeat=lambda: None), chores()], ids=["repairs", "chores"])
def test_a_round_of_upkeep_with_nothing_to_do_reads_few_of_many_jobs(upkeep: Upkeep) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LINE, [_JOBS])
        cursor.execute(_END)
    while totals.uncounted().exists():
        totals.advance()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    statements = asked(upkeep.step)
    assert statements
    assert {sql: read for sql in statements if (read := rows_read(sql, "jobs_job")) > _FEW} == {}


def test_the_waiting_jobs_are_found_without_reading_the_others_when_only_few_are_left(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of all jobs waited when PostgreSQL last took its statistics: any few of them would soon be found.

    So few jobs are read and sorted nearly as fast as 10,000 of them are found in an index, by PostgreSQL's reckoning
    4136 and 3820, so that some pages more or less decided. Looking for 100 costs it a tenth, as in a large table.
    """
    for module, most in ((counts, "COUNTED"), (chosen, "_COUNTED"), (dashboard, "COUNTED"), (waiting, "FEW")):
        monkeypatch.setattr(module, most, 100)
    with connection.cursor() as cursor:
        cursor.execute(_LINE, [_JOBS])
        cursor.execute(_END)
        cursor.execute(_LINE, [_JOBS])
        cursor.execute("ANALYZE")
        cursor.execute(_END)
    for lock in (None, "devices"):
        job_row("SCHEDULED", scheduled_time=database_now(), scheduled_by="ann", lock_name=lock, parked=lock is not None)
    pages = (
        "/jobs",
        "/jobs?q=status:scheduled",
        "/jobs/abort?all=1",
        "/jobs/abort?all=1&q=status:scheduled",
        "/admin/",
        "/admin/jobs/job/?status=SCHEDULED",
        "/admin/jobs/job/?status=in+line",
        "/api/v1.0/jobs?filter[status][in]=SCHEDULED,RUNNING",
        "/api/v1.0/jobs?filter[status]=SCHEDULED&sort=-scheduled_time&per_page=1",
        "/api/v1.0/jobs?filter[status][ne]=FINISHED&sort=-id",
    )
    asks: dict[str, Callable[[], object]] = {page: partial(admin_client.get, page) for page in pages}
    asks["is there room for one more"] = lambda: again.require_room("ann")
    asks["do jobs wait for a slot"] = lambda: participants._is_crowded("default")
    asks["lines"] = line.names
    asks["metrics"] = lambda: list(collect.DatabaseCollector().collect())
    for what, ask in asks.items():
        statements = [sql for sql in asked(ask) if "SCHEDULED" in sql]
        assert (what, bool(statements)) == (what, True)
        many = {sql: read for sql in statements if (read := rows_read(sql, "jobs_job")) > _FEW}
        assert (what, many) == (what, {})


def test_the_first_in_line_is_found_in_its_index_when_only_few_are_left(after_a_long_line: None) -> None:
    job = job_row("SCHEDULED", lock_name="devices", scheduled_time=database_now())
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")  # as it is planned after a few claims
        (claim,) = [sql for sql in asked(lambda: claimed(job)) if "claim_with_lock" in sql]
        assert rows_read(claim, "jobs_job") < _FEW
        cursor.execute("RESET plan_cache_mode")


def test_how_slow_devices_were_and_their_newest_rows_are_found_without_reading_all_that_they_ever_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When PostgreSQL last took its statistics hardly any device was done, as when a sync of many has just begun."""
    hosts = [f"sw{number}" for number in range(1, 21)]
    jobs_with_devices(500, len(hosts), state="WAITING")
    monkeypatch.setattr(invite, "_MOST", 5)
    newest_job = Job.objects.latest("id").pk
    (left,) = asked(lambda: invite._left(newest_job, alone=False))
    assert rows_read(left, "jobs_jobdevice") == 5  # of the twenty that a helper could begin
    JobDevice.objects.update(state="DONE", finish_time=database_now())
    (newest,) = asked(lambda: store().newest_done(hosts))
    assert rows_read(newest, "jobs_jobdevice") < _FEW
    run = claimed(nothing.schedule())
    fleet = NewFleet(helpers=0, repeats=False, all_or_none=False, fingerprint="")
    (begin,) = asked(lambda: store().begin_devices(run, fleet, hosts, take=1, worker_id=None))
    assert rows_read(begin, "jobs_jobdevice") < _FEW


def test_a_page_of_the_newest_jobs_devices_does_not_begin_with_those_of_the_first_job(admin_client: Client) -> None:
    jobs_with_devices(6, _DEVICES)
    newest = Job.objects.latest("id").pk
    pages = [
        sql
        for sql in asked(lambda: admin_client.get(f"/api/v1.0/job/{newest}/devices"))
        if "LIMIT" in sql and "jobs_jobdevice" in sql
    ]
    assert pages
    assert max(rows_read(sql, "jobs_jobdevice") for sql in pages) <= _DEVICES


def test_the_failed_devices_of_the_last_jobs_are_counted_without_reading_those_of_all() -> None:
    jobs_with_devices(6, _DEVICES)
    now = database_now()
    job = job_row("FINISHED", finish_time=now)
    device_row(job, "sw1", reason="it is not reachable")
    (symptoms,) = asked(lambda: health.facts(now=now))
    assert rows_read(symptoms, "jobs_jobdevice") <= 5 * _DEVICES  # of the five that are looked at


def jobs_with_devices(count: int, devices: int, *, state: str = "DONE") -> None:
    job_rows(count, finish_time=database_now())
    with connection.cursor() as cursor:
        cursor.execute(_DEVICE_ROWS, {"devices": devices, "state": state})
        cursor.execute("ANALYZE")


def rows_read(sql: str, table: str) -> int:
    """How many rows of the table the statement looks at, to be used or not."""
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in plan_of(sql)
        if node.get("Relation Name") == table and node["Node Type"] != "ModifyTable"
    )
