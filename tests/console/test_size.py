"""The console at any number of jobs and devices: the size of its pages, and their queries."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection

from jobs.models import Job, JobDevice
from tests.browser.addresses import CONSOLE, FOR_STRANGERS
from tests.browser.world import World, built
from tests.console.conftest import PASSWORD, Person
from tests.factory import NOON, job_rows
from tests.large import fill, over_all_jobs, statements_of, walks
from tests.services import PostgreSQL

HEAVIEST = 150_000
DEVICES = 5000
REPORT = '{"failed": false, "job_tasks": [{"diff": "+vlan 7", "failed": false, "result": null, "task_name": "sync"}]}'
SHOWN = (200, 302, 400, 404, 409)  # among the addresses are mistakes, which are answered by pages too


@pytest.fixture
def world(db: None) -> World:
    return built()


@pytest.fixture
def boss(db: None) -> Person:
    return Person(User.objects.create_superuser("boss", password=PASSWORD))


def each_address(world: World) -> Iterator[str]:
    for name, addresses in CONSOLE.items():
        if name not in FOR_STRANGERS:
            yield from (address(world) for address in addresses)


def with_devices(job: Job, count: int) -> None:
    """So many more, each with a result; one in fifty failed."""
    done: dict[str, Any] = {
        "job": job,
        "state": "DONE",
        "participant": uuid4(),
        "worker": "celery@w1",
        "step": "commit",
    }
    times = {"start_time": NOON, "finish_time": NOON}
    JobDevice.objects.bulk_create(
        JobDevice(
            place=100 + number,
            host=f"switch-{number}.building-{number % 7}.lab.example",
            failed=number % 50 == 0,
            reason=None if number % 50 else "ConnectionException: no route to host",
            report=REPORT,
            change_score=number % 101,
            **done,
            **times,
        )
        for number in range(count)
    )


def test_no_page_is_heavy_with_thousands_of_devices_and_jobs(boss: Person, world: World) -> None:
    job_rows(
        300, scheduled_by="somebody with a name", comment="a comment as long as people write them", ticket_ref="A-1"
    )
    for job in (world.dry_run, world.running):
        with_devices(job, DEVICES)
    responses: dict[str, Any] = {address: boss.client.get(address) for address in each_address(world)}
    weights = {address: len(response.content) for address, response in responses.items()}
    assert {address: weight for address, weight in weights.items() if weight > HEAVIEST} == {}


def test_no_page_asks_more_of_the_database_with_more_jobs_and_devices(boss: Person, world: World) -> None:
    job_rows(60)
    with_devices(world.dry_run, 60)
    few = {address: len(statements_of(boss.client, address, statuses=SHOWN)) for address in each_address(world)}
    job_rows(600)
    with_devices(world.running, 600)
    many = {address: len(statements_of(boss.client, address, statuses=SHOWN)) for address in each_address(world)}
    assert {address: (few[address], count) for address, count in many.items() if count > few[address]} == {}


# Of each page with all that the world of the tests has to show, where nothing was shown a moment ago. As counted on
# PostgreSQL, where the time of the database is a statement too.
STATEMENTS = {
    "/jobs": 25,
    "/jobs?q=status:exception": 13,
    "/jobs/{dry_run}": 16,
    "/jobs/{running}": 12,
    "/devices": 12,
    "/devices/{host}": 26,
    "/locks": 15,
    "/timeline": 7,
    "/schedules": 7,
    "/workers": 12,
}


def test_each_page_asks_no_more_than_it_needs(boss: Person, world: World) -> None:
    ids = {"dry_run": world.dry_run.pk, "running": world.running.pk, "host": world.host}
    found = {path: len(statements_of(boss.client, path.format(**ids))) for path in STATEMENTS}
    assert {path: number for path, number in found.items() if number > STATEMENTS[path]} == {}


def test_no_page_counts_or_lists_all_jobs(boss: Person, world: World) -> None:
    job_rows(200)
    found = {
        address: over_all_jobs(statements_of(boss.client, address, statuses=SHOWN)) for address in each_address(world)
    }
    assert {address: statements for address, statements in found.items() if statements} == {}


@pytest.mark.needs("postgresql")
def test_on_postgresql_no_page_reads_the_whole_table(postgresql: PostgreSQL) -> None:
    boss, world = Person(User.objects.create_superuser("boss", password=PASSWORD)), built()
    fill(postgresql)
    found = {}
    for address in each_address(world):
        statements = statements_of(boss.client, address, statuses=SHOWN)
        if plans := walks(postgresql, statements):
            found[address] = plans
    assert found == {}


@pytest.mark.needs("postgresql")
def test_a_statement_that_takes_too_long_is_reported_on_each_page(postgresql: PostgreSQL) -> None:
    boss, world = Person(User.objects.create_superuser("boss", password=PASSWORD)), built()

    def slowly(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if any(f'FROM "{room}_' in sql for room in ("jobs", "locks", "django_celery_beat")):
            sql, params = "SELECT pg_sleep(60)", ()
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '100ms'")  # as the web server has it, and shorter
    answers = {}
    with connection.execute_wrapper(slowly):
        for address in each_address(world):
            response: Any = boss.client.get(address)
            text = response.content.decode()
            if response.status_code == 503 and "That took too long" in text and "</html>" in text:
                continue
            answers[address] = response.status_code
    asks_nothing = {"/jobs/abort": 200, "/jobs/failed": 200, "/devices?find=nothing+like+it": 200}
    assert answers == {"/": 302, "/jobs?q=nothing:like+it": 400, **asks_nothing}
