"""A job that is pruned while it is shown is shown whole, or not at all, and its page is no error.

What is shown comes from several statements. The job goes before each of them in turn.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from jobs.feed.objects import told
from jobs.models import Job, JobOutcome
from jobs.sql import store
from jobs.sql.position import Change, Kind
from tests.api.conftest import API
from tests.factory import device_row, job_row

pytestmark = pytest.mark.django_db(transaction=True)

BROKE = json.dumps({"message": "it broke", "type": "ValueError", "args": ["it broke"], "traceback": "x" * 100})


def broken() -> int:
    return job_row("EXCEPTION", exception=BROKE).pk


def with_result(size: int) -> int:
    return job_row("FINISHED", result=json.dumps({"a": "x" * size})).pk


def of_devices(size: int) -> int:
    job = job_row("FINISHED", task_name="devices.tasks.sync_devices", start_arguments='{"dry_run": true}')
    JobOutcome.objects.filter(job=job).update(devices_bytes=size)
    device_row(job, "sw1")
    return job.pk


ENDED = {
    "broken": broken,
    "short": lambda: with_result(10),
    "long": lambda: with_result(20_000),
    "very long": lambda: with_result(300_000),
    "devices": lambda: of_devices(100_000),
    "many devices": lambda: of_devices(500_000),
}


@contextmanager
def pruned_before(statement: int, job_id: int) -> Iterator[list[str]]:
    """The statements that were made inside, without those that pruned."""
    seen: list[str] = []

    def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        seen.append(sql)
        if len(seen) == statement + 1:
            prune(job_id)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield seen


def prune(job_id: int) -> None:
    watching, connection.execute_wrappers = connection.execute_wrappers, []
    try:
        store().delete([job_id])
    finally:
        connection.execute_wrappers = watching


def each_time(make: Callable[[], int], show: Callable[[int], Any]) -> list[Any]:
    """What is shown of a job that goes before the first statement, the second one and so on, and of one that stays."""
    found: list[Any] = []
    while True:
        job_id = make()
        with pruned_before(len(found), job_id) as seen:
            found.append(show(job_id))
        if len(seen) < len(found):
            return found
        assert not Job.objects.filter(pk=job_id).exists()


def by_api(job_id: int) -> Any:
    answer = Client().get(f"{API}/job/{job_id}")
    return _of(answer.json()["data"]["jobs"]) if answer.status_code == 200 else answer.status_code


def in_parts(job_id: int) -> Any:
    answer = Client().get(f"{API}/job/{job_id}?filter_jobresult=config")
    return _of(answer.json()["data"]["jobs"]) if answer.status_code == 200 else answer.status_code


def in_list(job_id: int) -> Any:
    answer = Client().get(f"{API}/jobs?filter[id]={job_id}")
    return _of(answer.json()["data"]["jobs"])


def raw(job_id: int) -> Any:
    answer = Client().get(f"/jobs/{job_id}/raw")
    return _of([answer.json()]) if answer.status_code == 200 else answer.status_code


def by_command(job_id: int) -> Any:
    out = StringIO()
    try:
        call_command("jobs", "show", str(job_id), "--json", stdout=out)
    except CommandError:
        return 404
    return _of([json.loads(out.getvalue())])


def by_feed(job_id: int) -> Any:
    return [dict(each.data) | {"id": 0} for each in told([Change(Kind.JOB, job_id)])] or 404


def _of(jobs: list[dict[str, Any]]) -> Any:
    return [job | {"id": 0} for job in jobs] or 404


@pytest.mark.devices
@pytest.mark.parametrize("show", [by_api, in_parts, in_list, raw, by_command, by_feed])
def test_it_is_shown_whole_or_not_at_all(show: Callable[[int], Any]) -> None:
    for ended, make in ENDED.items():
        *found, whole = each_time(make, show)
        assert whole != 404
        assert 404 in found
        assert [each for each in found if each not in (404, whole)] == [], ended


@pytest.mark.devices
@pytest.mark.parametrize(("page", "missing"), [("/jobs/{}", 404), ("/admin/jobs/job/{}/change/", 302)])
def test_its_page_is_no_error(page: str, missing: int) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    for make in ENDED.values():
        *found, whole = each_time(make, lambda job_id: browser.get(page.format(job_id)).status_code)
        assert whole == 200
        assert {missing} <= set(found) <= {200, missing}
