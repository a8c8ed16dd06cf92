"""A bare Celery loop: two raw single-row UPDATEs for each task, each its own commit, the second storing the result.

``python -m benchmarks.baselines.bare fill N`` makes N rows and their messages; ``main`` has the other commands.
"""

import json
import sys
import time
from datetime import UTC, datetime
from itertools import takewhile

from psycopg2.extras import execute_values

from benchmarks.baselines.bare_celery import application, connection

QUEUE = "bare"
TABLE = """
    CREATE TABLE IF NOT EXISTS bare_job (
        id bigserial PRIMARY KEY, status text NOT NULL, scheduled_time timestamptz NOT NULL,
        start_time timestamptz, finish_time timestamptz, result text
    )
"""

app = application(QUEUE)


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


def schedule(count: int) -> float:
    """Seconds for ``count`` rows, each with its own commit and confirmed message, on open connections."""
    with app.producer_pool.acquire(block=True) as producer:
        noop.apply_async((insert(),), producer=producer)
        begun = time.perf_counter()
        for _ in range(count):
            noop.apply_async((insert(),), producer=producer)
        return time.perf_counter() - begun


def publish(count: int) -> float:
    """Seconds for this many messages on one channel, a thousand in flight between two waits for confirms."""
    # Without Celery's own way to confirm, which waits for each message.
    with app.connection_for_write(transport_options={"confirm_publish": False}) as broker:
        channel = broker.channel()
        channel.confirm_select()
        open_tags: dict[int, None] = {}  # in order

        def acknowledged(tag: int, multiple: bool) -> None:
            for each in list(takewhile(lambda each: each <= tag, open_tags)) if multiple else [tag]:
                del open_tags[each]

        channel.events["basic_ack"].add(acknowledged)
        producer = app.amqp.Producer(channel, auto_declare=False)
        app.amqp.queues[QUEUE](channel).declare()
        begun = time.perf_counter()
        for number in range(1, count + 1):
            open_tags[number] = None
            noop.apply_async((number,), producer=producer, retry=False)
            if number % 1000 == 0 or number == count:
                while open_tags:
                    channel.connection.drain_events()
        return time.perf_counter() - begun


def make_tables() -> None:
    with connection().cursor() as cursor:
        cursor.execute(TABLE)


def main(command: str, *arguments: str) -> None:
    make_tables()
    if command == "fill":
        fill(int(arguments[0]))
    elif command == "schedule":
        print(schedule(int(arguments[0])))
    elif command == "publish":
        print(publish(int(arguments[0])))
    elif command == "eta":
        for due in json.loads(arguments[0]):
            started_at.apply_async((insert(),), eta=datetime.fromtimestamp(due, UTC))


if __name__ == "__main__":
    # Run as a module's main, its tasks would be called __main__.….
    from benchmarks.baselines import bare

    bare.main(*sys.argv[1:])
