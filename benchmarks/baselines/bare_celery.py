"""What bare tasks share: Celery with the product's ack mode, prefetch, confirms and priorities, and PostgreSQL."""

import os
from functools import cache
from typing import Any

import psycopg2
from celery import Celery


def application(name: str) -> Celery:
    """Its queue has its name."""
    app = Celery(name, broker=os.environ["BENCH_BROKER_URL"])
    app.conf.update(
        task_default_queue=name,
        task_queue_max_priority=9,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": True},
    )
    return app


@cache
def connection(*first: str) -> Any:
    """This process's one, kept open, in autocommit; ``first`` are statements for a new one."""
    made = psycopg2.connect(os.environ["BENCH_DATABASE_URL"].replace("postgres:", "postgresql:"))
    made.autocommit = True
    with made.cursor() as cursor:
        for statement in first:
            cursor.execute(statement)
    return made
