"""A bare Celery loop: two raw single-row UPDATEs for each task, each its own commit, the second storing the result.

``python -m benchmarks.baselines.bare fill N`` makes N rows and their messages.
"""

import json
import os
import sys
import time
from typing import Any

import psycopg2
from celery import Celery
from psycopg2.extras import execute_values

DSN = os.environ["BENCH_DATABASE_URL"].replace("postgres:", "postgresql:")
QUEUE = "bare"
TABLE = """
    CREATE TABLE IF NOT EXISTS bare_job (
        id bigserial PRIMARY KEY, status text NOT NULL, scheduled_time timestamptz NOT NULL,
        start_time timestamptz, finish_time timestamptz, result text
    )
"""

app = Celery("bare", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
)
_connection: Any = None


def connection() -> Any:
    """This process's one, kept open, in autocommit."""
    global _connection
    if _connection is None:
        _connection = psycopg2.connect(DSN)
        _connection.autocommit = True
    return _connection


@app.task
def noop(job_id: int) -> None:
    with connection().cursor() as cursor:
        cursor.execute(
            "UPDATE bare_job SET status = 'RUNNING', start_time = clock_timestamp()"
            " WHERE id = %s AND status = 'SCHEDULED'",
            [job_id],
        )
        result = json.dumps({"message": "done"})
        cursor.execute(
            "UPDATE bare_job SET status = 'FINISHED', finish_time = clock_timestamp(), result = %s"
            " WHERE id = %s AND status = 'RUNNING'",
            [result, job_id],
        )


@app.task
def started_at(job_id: int) -> None:
    """Stores the moment in which it started, as the product's body of that name does."""
    started = time.time()
    with connection().cursor() as cursor:
        cursor.execute(
            "UPDATE bare_job SET status = 'FINISHED', result = %s WHERE id = %s", [json.dumps(started), job_id]
        )


def insert() -> int:
    """One row, one commit."""
    with connection().cursor() as cursor:
        cursor.execute("INSERT INTO bare_job (status, scheduled_time) VALUES ('SCHEDULED', now()) RETURNING id")
        (job_id,) = cursor.fetchone()
    return int(job_id)


def fill(count: int) -> None:
    with connection().cursor() as cursor:
        cursor.execute("TRUNCATE bare_job RESTART IDENTITY")
        execute_values(
            cursor,
            "INSERT INTO bare_job (status, scheduled_time) VALUES %s",
            [("SCHEDULED",)] * count,
            template="(%s, clock_timestamp())",
            page_size=1000,
        )
    with app.producer_pool.acquire(block=True) as producer:
        for job_id in range(1, count + 1):
            noop.apply_async((job_id,), producer=producer)


def make_tables() -> None:
    with connection().cursor() as cursor:
        cursor.execute(TABLE)


if __name__ == "__main__":
    make_tables()
    if sys.argv[1] == "fill":
        # Run as a module's main, its task would be called __main__.noop.
        from benchmarks.baselines import bare

        bare.fill(int(sys.argv[2]))
