"""Databases with many jobs that have ended, made once in a run: 1 in 50 has a result of 40 KB."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connection

from benchmarks.base import Base
from benchmarks.environment import Bench
from tests.switching import on_database

BIG_EVERY: Final = 50
RUNNING: Final = 20

_JOBS = """
    INSERT INTO jobs_job (
        status, scheduled_time, start_time, finish_time, function_name, scheduled_by, comment, finished_devices,
        change_score, start_arguments, task_name, exception_type, queue, priority, dispatched_at, parked, attempt,
        retries, rerun_if_lost, worker
    )
    SELECT
        CASE WHEN n %% 20 = 0 THEN 'EXCEPTION' ELSE 'FINISHED' END, due, due + interval '50 ms', due + interval '2 s',
        CASE WHEN n %% 10 = 0 THEN 'collect' WHEN n %% 2 = 0 THEN 'sync_devices' ELSE 'sync_devices (dry_run)' END,
        'operator' || n %% 7, CASE WHEN n %% 3 = 0 THEN 'change ' || n END, '["eosdist' || n %% 500 || '"]',
        n %% 101, '{"hostnames": ["eosdist' || n %% 500 || '"], "dry_run": true}', 'benchmarks.bodies.noop',
        CASE WHEN n %% 20 = 0 THEN 'ValueError' END, 'default', 0, due, false, 1, 0, false, 'w1@host'
    FROM (SELECT n, now() - (%(count)s - n + 10) * interval '10 s' AS due FROM generate_series(1, %(count)s) AS n) AS s
"""
_OUTCOMES = """
    INSERT INTO jobs_joboutcome (job_id, result, exception)
    SELECT
        id,
        CASE WHEN status <> 'FINISHED' THEN NULL WHEN id %% %(every)s = 7 THEN replace(%(big)s, 'HOST', 'eosdist' || id)
            ELSE '{"devices": {"eosdist' || id || '": {"failed": false, "job_tasks": []}}}' END,
        CASE WHEN status <> 'FINISHED' THEN '{"message": "it broke", "type": "ValueError", "args": ["it broke"],
            "traceback": "Traceback (most recent call last)"}' END
    FROM jobs_job
"""
_FLEETS = """
    INSERT INTO jobs_fleet (job_id, attempt, helpers, repeats, all_or_none, allowed, fingerprint)
    SELECT id, 1, 8, false, false, 1, '' FROM jobs_job
"""
_DEVICES = """
    INSERT INTO jobs_jobdevice (
        job_id, place, host, state, failed, reason, change_score, report, step, steps_over, tries, participant, worker,
        start_time, finish_time
    )
    SELECT id, n, 'eosdist' || n, 'DONE', n %% 50 = 0, CASE WHEN n %% 50 = 0 THEN 'it is not reachable' END, n %% 101,
        '{"failed": false, "job_tasks": [{"diff": "' || repeat(md5((id * 7919 + n)::text), 12) || '"}]}', 'commit', 0,
        0, gen_random_uuid(), 'w1@host', start_time, finish_time
    FROM jobs_job, generate_series(1, %(devices)s) AS n
"""
_OF_ROWS = "UPDATE jobs_joboutcome SET result = NULL, devices_bytes = %(devices)s * 450 WHERE result IS NOT NULL"
_RUN = """
    UPDATE jobs_job SET status = 'RUNNING', finish_time = NULL, exception_type = NULL, run_token = gen_random_uuid(),
        worker_id = %s
    WHERE id > (SELECT max(id) FROM jobs_job) - %s
"""


def big_result(size: int = 40_000) -> str:
    """JSON text of a sync's result of about this many bytes, as a real configuration and diff would be."""
    lines: list[str] = []
    length = 0
    while length < size * 0.9:
        number = len(lines)
        lines.append(f"interface Ethernet{number}\n description to-HOST-{number * 7919 % 10007}\n vlan {number % 4094}")
        length += len(lines[-1]) + 4  # what escaping adds
    text = "\n".join(lines)
    tasks = [
        {"diff": "", "failed": False, "result": None, "task_name": "push_sync_device"},
        {"diff": "", "failed": False, "result": text, "task_name": "Generate device config"},
        {"diff": "@@ -1 +1 @@\n-old\n+new", "failed": False, "result": None, "task_name": "Sync device config"},
    ]
    return json.dumps({"devices": {"HOST": {"failed": False, "job_tasks": tasks}}})


def many_jobs(bench: Bench, count: int, *, base: Base | None = None) -> str:
    """The name of a database with this many jobs. Rows may read it; one that writes uses ``copy_of``."""
    name = f"jobs{count}_{base.commit}" if base else f"jobs{count}"
    if bench.postgresql.execute("SELECT 1 FROM pg_database WHERE datname = %s", name):
        return name
    connection.close()
    bench.end_processes()
    half = f"{name}_unfinished"
    bench.postgresql.drop_database(half)
    bench.postgresql.create_database(half, template=base.database if base else bench.postgresql.database)
    bench.postgresql.execute(
        "TRUNCATE jobs_job, jobs_jobblock, jobs_watermark, jobs_heartbeat RESTART IDENTITY CASCADE", database=half
    )
    parameters: dict[str, int | str] = {"count": count, "every": BIG_EVERY, "big": big_result()}
    with on_database(bench.postgresql.database_url(half)), connection.cursor() as cursor:
        cursor.execute(_JOBS, parameters)
        cursor.execute(_OUTCOMES, parameters)
        cursor.execute("VACUUM ANALYZE")
        _keep_totals()
    bench.postgresql.execute(f'ALTER DATABASE "{half}" RENAME TO "{name}"', database="postgres")
    return name


def with_devices(bench: Bench, count: int, *, devices: int) -> str:
    """The same, and each job has so many devices."""
    name = f"jobs{count}_of_{devices}"
    if bench.postgresql.execute("SELECT 1 FROM pg_database WHERE datname = %s", name):
        return name
    plain = many_jobs(bench, count)
    bench.postgresql.create_database(name, template=plain)
    with on_database(bench.postgresql.database_url(name)), connection.cursor() as cursor:
        for statement in (_FLEETS, _DEVICES, _OF_ROWS):
            cursor.execute(statement, {"devices": devices})
        cursor.execute("VACUUM ANALYZE")
    return name


def _keep_totals() -> None:
    from jobs.models import Watermark
    from jobs.sql import totals

    while totals.advance() or not Watermark.objects.filter(below__gt=0).exists():
        pass


def copy_of(bench: Bench, name: str) -> str:
    copy = f"{name}_copy"
    bench.postgresql.drop_database(copy)
    bench.postgresql.create_database(copy, template=name)
    return copy


@contextmanager
def running_jobs(bench: Bench, database: str) -> Iterator[None]:
    """The newest jobs there run, on a worker whose heart beats: upkeep leaves them alone."""

    def execute(sql: str, *parameters: object) -> list[tuple[object, ...]]:
        return bench.postgresql.execute(sql, *parameters, database=database)

    (worker_id,) = execute(
        "INSERT INTO jobs_heartbeat (kind, name, pid, counter, started_at, last_seen, queues, concurrency, run_tokens)"
        " VALUES ('worker', 'w0@elsewhere', 1, 0, now(), now(), '[]', 20, '[]') RETURNING id"
    )[0]
    execute(_RUN, worker_id, RUNNING)
    tokens = json.dumps([str(token) for (token,) in execute("SELECT run_token FROM jobs_job WHERE status = 'RUNNING'")])
    stop = threading.Event()

    def beat() -> None:
        beats = "UPDATE jobs_heartbeat SET counter = counter + 1, last_seen = now(), run_tokens = %s WHERE id = %s"
        while not stop.wait(1.0):
            execute(beats, tokens, worker_id)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
