"""GET /jobs: order, pages, headers, the job object."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import Api
from tests.factory import NOON, job_row

KEYS = [
    "id",
    "status",
    "scheduled_time",
    "start_time",
    "finish_time",
    "function_name",
    "scheduled_by",
    "comment",
    "ticket_ref",
    "next_job_id",
    "result",
    "exception",
    "finished_devices",
    "change_score",
    "start_arguments",
]

pytestmark = pytest.mark.django_db


def ids(reply: Any) -> list[int]:
    return [job["id"] for job in reply.data["jobs"]]


def links(reply: Any) -> dict[str, str]:
    return {relation: url for url, relation in re.findall(r'<([^>]*)>; rel="(\w+)"', reply.headers["Link"])}


def test_job_object_has_the_contracts_keys_in_order(api: Api) -> None:
    for status in ("SCHEDULED", "RUNNING", "FINISHED", "EXCEPTION"):
        job_row(status)
    for job in api.get("/jobs").data["jobs"]:
        assert list(job) == KEYS


def test_unset_columns_are_null_and_set_ones_shown(api: Api) -> None:
    job_row("SCHEDULED", start_arguments='{"hostnames":["a"],  "dry_run": true}')
    job_row(
        "FINISHED",
        result='"done"',
        scheduled_by="eva",
        comment="fix",
        ticket_ref="T1",
        next_job_id=7,
        change_score=21,
        finished_devices='["a", "b"]',
    )
    first, second = api.get("/jobs").data["jobs"]
    assert first == {
        **dict.fromkeys(KEYS),
        "id": first["id"],
        "status": "SCHEDULED",
        "scheduled_time": "2025-11-24T12:00:00.000000",
        "function_name": "sync_devices",
        "start_arguments": {"hostnames": ["a"], "dry_run": True},
    }
    assert second == {
        "id": second["id"],
        "status": "FINISHED",
        "scheduled_time": "2025-11-24T12:00:00.000000",
        "start_time": "2025-11-24T12:00:01.000000",
        "finish_time": "2025-11-24T12:00:02.000000",
        "function_name": "sync_devices",
        "scheduled_by": "eva",
        "comment": "fix",
        "ticket_ref": "T1",
        "next_job_id": 7,
        "result": "done",
        "exception": None,
        "finished_devices": ["a", "b"],
        "change_score": 21,
        "start_arguments": {},
    }


def test_times_always_have_six_digits_and_no_offset(api: Api) -> None:
    job_row("SCHEDULED", scheduled_time=NOON.replace(microsecond=70))
    assert api.get("/jobs").data["jobs"][0]["scheduled_time"] == "2025-11-24T12:00:00.000070"


def test_stored_json_comes_byte_for_byte(api: Api) -> None:
    stored = '{"b":  1.0, "a": [1e2, "\\u00e5"], "c": 123456789012345678901234567890}'
    job_row("FINISHED", result=stored)
    assert stored.encode() in api.get("/jobs").raw


def test_without_jobs_the_list_is_empty(api: Api) -> None:
    reply = api.get("/jobs")
    assert reply.data == {"jobs": []}
    assert reply.headers["X-Total-Count"] == "0"
    assert links(reply).keys() == {"first", "last"}


def test_a_trailing_slash_is_tolerated(api: Api) -> None:
    job_row()
    assert api.get("/jobs/").data == api.get("/jobs").data


def test_json_body_on_a_get_is_ignored(api: Api) -> None:
    job_row()
    assert len(api.get("/jobs", raw=b'{"a": 1}').data["jobs"]) == 1
    assert len(api.get("/jobs", raw=b"no json").data["jobs"]) == 1


def test_an_offset_beyond_what_the_database_counts_to(api: Api) -> None:
    job_row("SCHEDULED")
    reply = api.get("/jobs?per_page=1000&page=999999999999999999")
    assert reply.data == {"jobs": []}
    assert reply.headers["X-Total-Count"] == "1"


def test_default_page_has_fifty_by_ascending_id(api: Api) -> None:
    made = [job_row("SCHEDULED").pk for _ in range(60)]
    reply = api.get("/jobs")
    assert ids(reply) == made[:50]
    assert reply.headers["X-Total-Count"] == "60"


@pytest.mark.parametrize("page", ["", "0", "-3", "x", "1.5", "None", "９"])
def test_page_that_is_no_number_from_1_counts_as_1(api: Api, page: str) -> None:
    made = [job_row("SCHEDULED").pk for _ in range(3)]
    assert ids(api.get(f"/jobs?per_page=2&page={page}")) == made[:2]


@pytest.mark.parametrize("per_page", ["0", "1001", "-1", "x", "", "1.0", "1e2", "99999999999999999999", "５"])
def test_per_page_out_of_bounds_is_a_400(api: Api, per_page: str) -> None:
    reply = api.get(f"/jobs?per_page={per_page}")
    assert reply.status == 400
    assert reply.message == "Unable to filter jobs: per_page argument must be integer between 1-1000"


@pytest.mark.parametrize("per_page", ["1", "1000"])
def test_per_page_may_be_at_its_bounds(api: Api, per_page: str) -> None:
    assert api.get(f"/jobs?per_page={per_page}").status == 200


def test_links_lead_through_all_pages_and_keep_the_query(api: Api) -> None:
    made = [job_row("SCHEDULED").pk for _ in range(7)]
    job_row("FINISHED")
    reply = api.get("/jobs?filter[status]=scheduled&sort=-id&per_page=3")
    seen = ids(reply)
    assert links(reply).keys() == {"first", "next", "last"}
    while "next" in links(reply):
        path = links(reply)["next"]
        assert path.startswith("http://testserver/api/v1.0/jobs?")
        reply = api.get(path.removeprefix("http://testserver/api/v1.0"))
        assert reply.headers["X-Total-Count"] == "7"
        seen += ids(reply)
    assert seen == made[::-1]
    assert links(reply).keys() == {"first", "prev", "last"}


@pytest.mark.parametrize("page", ["5", "999999999999999999", "999999999999999999999999"])
def test_past_the_end_is_empty_with_the_right_total(api: Api, page: str) -> None:
    for _ in range(3):
        job_row("SCHEDULED")
    reply = api.get(f"/jobs?per_page=2&page={page}")
    assert reply.headers["X-Total-Count"] == "3"
    if len(page) < 20:
        assert reply.data == {"jobs": []}
        assert "page=2" in links(reply)["prev"]
        assert "next" not in links(reply)


@pytest.mark.parametrize(
    "sort", ["status", "start_time", "function_name", "scheduled_by", "next_job_id", "change_score"]
)
def test_sort_by_a_column_with_ties_by_id(api: Api, sort: str) -> None:
    by_column: dict[str, list[Any]] = {
        "status": ["FINISHED", "RUNNING", "FINISHED"],
        "start_time": [NOON, NOON.replace(year=2027), NOON],
        "next_job_id": [1, 2, 1],
        "change_score": [1, 2, 1],
    }
    values = by_column.get(sort, ["a", "b", "a"])
    one, two, three = (job_row(value).pk if sort == "status" else job_row(**{sort: value}).pk for value in values)
    assert ids(api.get(f"/jobs?sort={sort}")) == [one, three, two]
    assert ids(api.get(f"/jobs?sort=-{sort}")) == [two, one, three]


def test_unset_sorts_as_the_greatest(api: Api) -> None:
    unset, given = job_row(comment=None).pk, job_row(comment="a").pk
    assert ids(api.get("/jobs?sort=comment")) == [given, unset]
    assert ids(api.get("/jobs?sort=-comment")) == [unset, given]


@pytest.mark.parametrize("sort", ["", "-", "--id", "nothing", "result", "task_name", "id,status", "-exception"])
def test_unknown_sort_field_is_a_400_that_names_it(api: Api, sort: str) -> None:
    reply = api.get(f"/jobs?sort={sort}")
    assert reply.status == 400
    assert reply.message.startswith("Unable to filter jobs: ")
    assert sort.lstrip("-") in reply.message


@pytest.mark.parametrize(
    ("query", "asked"), [("", 2), ("?per_page=20", 4), ("?per_page=20&filter[status]=finished", 3)]
)
def test_a_page_costs_as_many_queries_however_many_rows(api: Api, query: str, asked: int) -> None:
    """Rows and their results; what the first page does not hold whole is counted too, all jobs in two steps."""
    for _ in range(20):
        job_row("FINISHED", result='"x"')
    with CaptureQueriesContext(connection) as queries:
        reply = api.get(f"/jobs{query}")
    assert reply.headers["X-Total-Count"] == "20"
    assert len(queries) == asked, [query["sql"] for query in queries]


def test_results_of_the_page_only_are_read(api: Api) -> None:
    for _ in range(5):
        job_row("FINISHED", result='"x"')
    job_row("SCHEDULED")
    with CaptureQueriesContext(connection) as queries:
        api.get("/jobs?sort=-id&per_page=1")
    assert not any("jobs_joboutcome" in query["sql"] for query in queries)


def test_no_job_is_started_by_a_post_to_the_list(api: Api) -> None:
    for path in ("/jobs", "/job", "/job/", "/jobs/"):
        assert api.post(path, {"function_name": "x"}).status == 405
