"""Which database connections the device threads of a run use."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from jobs.body.shared_connection import SharedConnection
from jobs.models import Job
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform_job
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

used: dict[str, Any] = {}


@job
def says_its_connections(ctx: JobContext, *, at_once: int, meet: bool) -> None:
    both_in = threading.Barrier(2)

    def one(device: str) -> None:
        ctx.about_to("look")
        used["a thread's"] = connection.connection
        with ctx.database():
            used[device] = connection.connection
            if meet and device != "c":
                both_in.wait(30)

    used["own"] = connection.connection
    ctx.each(["a", "b", "c"], one, at_once=at_once)


@pytest.mark.usefixtures("each_database")
def test_few_devices_and_any_number_where_one_process_writes_at_a_time_use_the_connection_of_the_body() -> None:
    at_once = 3 if store().shares_devices else 2
    assert perform_job(says_its_connections, at_once=at_once, meet=False).status == Status.FINISHED
    assert used["a"] is used["b"] is used["c"] is used["own"]
    assert used["a thread's"] is None  # its step was noted on that one too


@pytest.mark.needs("postgresql")
def test_of_many_devices_two_use_the_database_at_a_time(postgresql: object) -> None:
    assert perform_job(says_its_connections, at_once=2, meet=True).status == Status.FINISHED
    assert used["a"] is not used["b"]
    assert used["own"] in (used["a"], used["b"])


@job
def asks_without_the_context(ctx: JobContext) -> None:
    def one(device: str) -> None:
        used[device] = connections["default"]
        used["open"] = Job.objects.exists() and connection.connection is not None

    ctx.each(["a"], one)


def test_a_connection_of_its_own_that_a_step_opened_is_closed_with_its_thread(each_database: None) -> None:
    assert perform_job(asks_without_the_context).status == Status.FINISHED
    assert used["open"]
    wait_until(lambda: used["a"].connection is None)


def test_the_one_of_the_threads_is_not_closed_while_a_thread_uses_it() -> None:
    shared = SharedConnection()
    with ThreadPoolExecutor(1) as pool:
        with shared._mutex:
            closes = pool.submit(shared.close)
            stays(lambda: not closes.done(), seconds=0.1)
        closes.result(30)
