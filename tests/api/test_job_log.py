"""GET /job/<id>/log."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from jobs.api.log_view import batches_of
from jobs.models import Job, JobLog
from tests.api.conftest import API, Api
from tests.factory import job_row

pytestmark = pytest.mark.django_db

LINES: list[list[Any]] = [
    ["2026-11-26T20:00:00.000001", "INFO", "site", None, "Begins"],
    ["2026-11-26T20:00:01.000001", "WARNING", "site.devices", "sw1", "slow to answer"],
    ["2026-11-26T20:00:02.000001", "ERROR", "site.devices", "sw2", "gone: a < b"],
]


@pytest.fixture
def job() -> Job:
    job = job_row()
    for batch in (LINES[:2], LINES[2:]):
        JobLog.objects.create(job=job, lines=len(batch), size=1, text=json.dumps(batch))
    JobLog.objects.create(job=job_row(), lines=1, size=1, text=json.dumps([[*LINES[0][:4], "another job's"]]))
    return job


def said(api: Api, job: Job, query: str = "") -> list[str]:
    return [line["text"] for line in api.get(f"/job/{job.pk}/log{query}").data["log"]]


def test_a_line_has_its_keys_in_order(api: Api, job: Job) -> None:
    assert list(api.get(f"/job/{job.pk}/log").data["log"][1].items()) == list(
        zip(("time", "level", "module", "device", "text"), LINES[1], strict=True)
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 1, 2]),
        ("?level=warning", [1, 2]),
        ("?level=ERROR", [2]),
        ("?device=sw1", [1]),
        ("?text=GONE", [2]),
        ("?text=e&level=WARNING&device=sw2", [2]),
        ("?per_page=2", [0, 1]),
        ("?per_page=2&page=2", [2]),
        ("?page=9", []),
    ],
)
def test_the_log_has_pages_and_filters(api: Api, job: Job, query: str, expected: list[int]) -> None:
    assert said(api, job, query) == [LINES[number][-1] for number in expected]


def test_a_page_says_how_many_lines_there_are_and_where_the_next_one_is(api: Api, job: Job) -> None:
    headers = api.get(f"/job/{job.pk}/log?per_page=2").headers
    assert headers["X-Total-Count"] == "3"
    assert 'rel="next"' in headers["Link"]


def test_the_log_can_be_had_as_text_for_a_terminal(api: Api, job: Job) -> None:
    answer = api.client.get(f"{API}/job/{job.pk}/log?level=WARNING", headers={"Accept": "text/plain"})
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == (
        "2026-11-26T20:00:01.000001 WARNING site.devices [sw1]: slow to answer\n"
        "2026-11-26T20:00:02.000001 ERROR site.devices [sw2]: gone: a < b\n"
    )


def test_no_line_of_it_reaches_a_terminal_as_a_command_or_as_one_of_the_logs_own(api: Api) -> None:
    """A text with several lines, such as a traceback, keeps them, indented."""
    job = job_row()
    line = ["2026-11-26T20:00:00.000001", "INFO", "site", "sw1\nsw2", "banner \x1b]0;owned\x07\r\nforged\n  deeper\n"]
    JobLog.objects.create(job=job, lines=1, size=20, text=json.dumps([line]))
    answer = api.client.get(f"{API}/job/{job.pk}/log", headers={"Accept": "text/plain"})
    assert answer.content.decode() == (
        "2026-11-26T20:00:00.000001 INFO site [sw1 sw2]: banner \N{REPLACEMENT CHARACTER}]0;owned"
        "\N{REPLACEMENT CHARACTER}\n    forged\n      deeper\n"
    )


def test_what_is_known_is_not_read_again(job: Job) -> None:
    first, second = list(batches_of(job.pk))
    assert list(batches_of(job.pk, but=[first[0]])) == [second]


def test_the_log_needs_the_permission_to_view_jobs(
    api: Api, job: Job, api_of: Callable[[User], Any], user_with: Callable[..., User]
) -> None:
    api.client.get(f"{API}/jobs")
    assert api_of(user_with()).get(f"/job/{job.pk}/log").status == 403


@pytest.mark.parametrize(("path", "status"), [("/job/99999/log", 404), ("/job/x/log", 404)])
def test_the_log_of_a_job_that_does_not_exist_is_a_404(api: Api, path: str, status: int) -> None:
    assert api.get(path).status == status


def test_an_invalid_level_is_named(api: Api, job: Job) -> None:
    answer = api.get(f"/job/{job.pk}/log?level=loud")
    assert (answer.status, "'loud'" in answer.message) == (400, True)
