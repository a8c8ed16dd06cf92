"""GET /job/<id>/devices, /job/<id>/devices/<hostname> and /device/<hostname>/jobs."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from tests.api.conftest import Api, tokens_required, user_with
from tests.factory import device_row, job_row

__all__ = ["tokens_required", "user_with"]

pytestmark = pytest.mark.django_db

NOON, A_SECOND_LATER = "2025-11-24T12:00:00.000000", "2025-11-24T12:00:01.000000"
REPORT = '{"zebra": 1, "failed": true, "a": [1.50]}'  # as it is stored: its order, and its number


@pytest.fixture
def job() -> Job:
    """Four devices: one finished, one failed, one in progress, one that nobody has begun."""
    job = job_row("RUNNING")
    device_row(job, "sw1", change_score=21)
    device_row(job, "sw2", reason="cannot connect: timed out", report=REPORT, worker="celery@w2")
    device_row(job, "sw3", "TAKEN")
    device_row(job, "sw4", "WAITING")
    return job


def names(api: Api, job: Job, query: str = "") -> list[str]:
    return [device["hostname"] for device in api.get(f"/job/{job.pk}/devices{query}").data["devices"]]


def test_each_device_is_listed_with_its_state(api: Api, job: Job) -> None:
    reply = api.get(f"/job/{job.pk}/devices")
    begun = {"worker": "celery@w1", "step": "commit", "start_time": NOON}
    sw1 = {"hostname": "sw1", "state": "DONE", "failed": False, "reason": None, "change_score": 21}
    sw1 |= begun | {"finish_time": A_SECOND_LATER}
    sw2 = sw1 | {"hostname": "sw2", "failed": True, "reason": "cannot connect: timed out", "change_score": 0}
    sw2 |= {"worker": "celery@w2"}
    sw3 = sw1 | {"hostname": "sw3", "state": "TAKEN", "change_score": None, "finish_time": None}
    sw4 = sw3 | {"hostname": "sw4", "state": "WAITING", **dict.fromkeys(begun)}
    assert json.dumps(reply.data) == json.dumps({"devices": [sw1, sw2, sw3, sw4]})  # the keys in this order too
    assert reply.headers["X-Total-Count"] == "4"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?filter[state]=waiting", ["sw4"]),
        ("?filter[state][ne]=DONE", ["sw3", "sw4"]),
        ("?filter[failed]=true", ["sw2"]),
        ("?filter[failed]=False&filter[state]=DONE", ["sw1"]),
        ("?filter[hostname][in]=sw4,sw2,nosuch", ["sw2", "sw4"]),
        ("?filter[hostname][contains]=SW", ["sw1", "sw2", "sw3", "sw4"]),
        ("?filter[reason][contains]=Timed", ["sw2"]),
        ("?filter[worker]=celery@w2", ["sw2"]),
        ("?filter[step]=commit", ["sw1", "sw2", "sw3"]),
        ("?filter[change_score][gt]=0", ["sw1"]),
        ("?filter[change.score][gte]=0", ["sw1", "sw2"]),
        ("?filter[start_time][contains]=2025-11-24 12", ["sw1", "sw2", "sw3"]),
        ("?filter[finish_time][lt]=2025-11-24T13:00:00", ["sw1", "sw2"]),
        ("?sort=-failed", ["sw2", "sw1", "sw3", "sw4"]),
        ("?sort=-hostname", ["sw4", "sw3", "sw2", "sw1"]),
        ("?sort=-change_score", ["sw3", "sw4", "sw1", "sw2"]),
        ("?per_page=2&page=2", ["sw3", "sw4"]),
        ("?page=9", []),
    ],
)
def test_pages_are_sorted_and_filtered_like_the_list_of_jobs(api: Api, job: Job, query: str, found: list[str]) -> None:
    assert names(api, job, query) == found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?filter[report]=x", "Unable to filter devices: unknown field 'report'"),
        ("?filter[host]=x", "unknown field 'host', must be one of hostname, state, failed"),
        ("?filter[failed]=1", "value '1' for failed: must be true or false"),
        ("?filter[failed][gt]=true", "operator 'gt' cannot be used on failed"),
        ("?filter[state]=LOST", "value 'LOST' for state: must be one of WAITING, TAKEN, DONE"),
        ("?filter[hostname]=a%00", "contains a NUL"),
        ("?sort=memo", "unknown field 'memo'"),
        ("?per_page=0", "per_page argument must be integer between 1-1000"),
        ("?report=yes", "Unable to filter devices: report must be 0 or 1, not 'yes'"),
    ],
)
def test_an_invalid_query_is_refused_with_its_fault(api: Api, job: Job, query: str, said: str) -> None:
    reply = api.get(f"/job/{job.pk}/devices{query}")
    assert reply.status == 400
    assert said in reply.message


def test_links_lead_from_page_to_page(api: Api, job: Job) -> None:
    reply = api.get(f"/job/{job.pk}/devices?filter[state]=DONE&per_page=1")
    assert reply.headers["X-Total-Count"] == "2"
    assert f"/job/{job.pk}/devices?filter%5Bstate%5D=DONE&per_page=1&page=2>" in reply.headers["Link"]


def test_reports_are_shown_as_stored_and_only_if_asked_for(api: Api, job: Job) -> None:
    assert b"zebra" not in api.get(f"/job/{job.pk}/devices").raw
    assert b"zebra" not in api.get(f"/job/{job.pk}/devices?report=0").raw
    reply = api.get(f"/job/{job.pk}/devices?report=1")
    assert f'"report":{REPORT}'.encode() in reply.raw
    assert [device["report"] for device in reply.data["devices"]] == [
        {"failed": False},
        {"zebra": 1, "failed": True, "a": [1.5]},
        None,
        None,
    ]


def test_reports_that_do_not_fit_into_the_page_are_named(api: Api, settings: Any) -> None:
    settings.CNAASJOBS_PAGE_MAX_MB = 0.1
    job = job_row()
    long = json.dumps("x" * 60_000)
    for host in ("sw1", "sw2", "sw3"):
        device_row(job, host, report=long if host != "sw3" else '"short"')
    shown = [device["report"] for device in api.get(f"/job/{job.pk}/devices?report=1").data["devices"]]
    assert (shown[0], shown[2]) == ("x" * 60_000, "short")
    assert shown[1]["message"].endswith(f"does not fit into the page: GET /job/{job.pk}/devices/sw2 has it")
    settings.CNAASJOBS_PAGE_MAX_MB = 0.01
    (alone,) = api.get(f"/job/{job.pk}/devices/sw2").data["devices"]
    assert alone["report"] == "x" * 60_000


def test_a_page_of_a_thousand_reports_takes_few_statements(api: Api, django_assert_max_num_queries: Any) -> None:
    job = job_row()
    for number in range(45):
        device_row(job, f"sw{number}")
    with django_assert_max_num_queries(6):
        assert len(api.get(f"/job/{job.pk}/devices?report=1&per_page=1000").data["devices"]) == 45


def test_one_device_is_shown_with_its_report_by_one_statement(
    api: Api, job: Job, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1) as asked:
        reply = api.get(f"/job/{job.pk}/devices/sw2/")
    assert "ORDER BY" not in asked[0]["sql"]  # of one row
    (device,) = reply.data["devices"]
    assert (device["hostname"], device["failed"], device["report"]["zebra"]) == ("sw2", True, 1)
    assert f'"report":{REPORT}'.encode() in reply.raw


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/job/{other}/devices/sw1", "No device 'sw1' found in job {other}"),
        ("/job/{job}/devices/nosuch", "No device 'nosuch' found in job {job}"),
        ("/job/{job}/devices/sw1%00", "found in job {job}"),
        ("/job/987654/devices", "No job with id 987654 found"),
        ("/job/987654/devices/sw1", "No job with id 987654 found"),
        ("/job/1e3/devices", "No job with id 1e3 found"),
        ("/device/sw1%00/jobs", "No device"),
    ],
)
def test_what_is_not_there_is_a_404(api: Api, job: Job, path: str, said: str) -> None:
    ids = {"job": job.pk, "other": job_row().pk}
    reply = api.get(path.format(**ids))
    assert reply.status == 404
    assert said.format(**ids) in reply.message


def test_a_job_without_devices_shows_none(api: Api) -> None:
    reply = api.get(f"/job/{job_row('SCHEDULED').pk}/devices?sort=hostname")
    assert (reply.data, reply.headers["X-Total-Count"]) == ({"devices": []}, "0")


def test_the_jobs_of_a_device_are_listed_with_what_became_of_it(api: Api, job: Job) -> None:
    later = job_row("FINISHED", function_name="sync_devices (dry_run)", scheduled_by="ann", ticket_ref="NOC-1")
    device_row(later, "sw1", reason="too late")
    device_row(later, "sw9")
    reply = api.get("/device/sw1/jobs?sort=-job_id")
    assert reply.headers["X-Total-Count"] == "2"
    last, first = reply.data["jobs"]
    assert list(last.items())[:9] == [
        ("job_id", later.pk),
        ("function_name", "sync_devices (dry_run)"),
        ("status", "FINISHED"),
        ("scheduled_by", "ann"),
        ("ticket_ref", "NOC-1"),
        ("hostname", "sw1"),
        ("state", "DONE"),
        ("failed", True),
        ("reason", "too late"),
    ]
    assert (first["job_id"], first["status"], first["change_score"]) == (job.pk, "RUNNING", 21)
    for query, found in (
        ("filter[failed]=true", [later.pk]),
        ("filter[status]=running", [job.pk]),
        ("filter[function_name][contains]=DRY", [later.pk]),
        ("per_page=1&page=2", [later.pk]),
    ):
        assert [row["job_id"] for row in api.get(f"/device/sw1/jobs?{query}").data["jobs"]] == found
    assert api.get("/device/nosuch/jobs").data == {"jobs": []}


def test_the_jobs_of_a_device_are_counted_without_a_look_at_them(api: Api, job: Job) -> None:
    device_row(job_row("FINISHED"), "sw1")
    with CaptureQueriesContext(connection) as asked:
        assert api.get("/device/sw1/jobs?per_page=1").headers["X-Total-Count"] == "2"
    assert ["JOIN" in query["sql"] for query in asked if "COUNT(" in query["sql"]] == [False]
    assert api.get("/device/sw1/jobs?per_page=1&filter[status]=running").headers["X-Total-Count"] == "1"


def test_a_user_who_may_read_jobs_may_read_their_devices(
    api_of: Callable[[User], Api], user_with: Callable[..., User], job: Job
) -> None:
    reader, other = api_of(user_with("jobs.view_job")), api_of(user_with("jobs.add_job", name="other"))
    for path in (f"/job/{job.pk}/devices", f"/job/{job.pk}/devices/sw1", "/device/sw1/jobs"):
        assert reader.get(path).status == 200
        assert other.get(path).status == 403
        assert Api().get(path).status == 401
        assert reader.post(path).status == 405
