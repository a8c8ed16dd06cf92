"""Random input never leads to a 500, or to anything but the envelope."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Api
from tests.factory import job_row

pytestmark = pytest.mark.django_db

FIELDS = st.sampled_from(["id", "status", "finish_time", "function.name", "comment", "change_score", "result", "x", ""])
OPERATORS = st.sampled_from(["", "[contains]", "[gt]", "[gte]", "[lt]", "[lte]", "[ne]", "[in]", "[x]", "[]", "["])
TEXT = st.one_of(
    st.text(),
    st.integers().map(str),
    st.datetimes().map(str),
    st.sampled_from(["", "RUNNING", "2026", "%", "\x00", "'", "\\", ","]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FEWER = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, *settings().suppress_health_check]
)


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"))


@FEWER
@given(st.lists(st.tuples(FIELDS, OPERATORS, TEXT), max_size=4), TEXT, TEXT, TEXT)
def test_any_query_of_the_list_is_answered(
    api: Api, filters: list[tuple[str, str, str]], sort: str, page: str, per_page: str
) -> None:
    query = [f"filter[{field}]{operator}={encoded(text)}" for field, operator, text in filters]
    assert api.get(f"/jobs?{'&'.join(query)}").status in (200, 400)
    assert api.get(f"/jobs?sort={encoded(sort)}&page={encoded(page)}").status in (200, 400)
    assert api.get(f"/jobs?per_page={encoded(per_page)}&filter_jobresult={encoded(page)}").status in (200, 400)


@FEWER
@given(st.text())
def test_any_path_is_answered(api: Api, text: str) -> None:
    for path in ("/", "/job/", "/jobs/", "/joblocks/", "/device_syncto/", "/device_syncto/hostname/"):
        assert api.get(path + encoded(text)).status in (200, 404, 405)


@pytest.mark.devices
@FEWER
@given(st.binary())
def test_any_bytes_as_a_body_are_answered(api: Api, raw: bytes) -> None:
    assert api.request("DELETE", "/joblocks", raw=raw).status in (400, 404)
    assert api.request("PUT", "/job/1", raw=raw).status in (400, 404)
    assert api.request("POST", "/device_syncto", raw=raw).status in (400, 409)


@FEWER
@given(JSON, JSON)
def test_any_json_as_a_body_is_answered(api: Api, first: Any, second: Any) -> None:
    job = job_row("RUNNING")
    api.delete("/joblocks", first)
    api.delete("/joblocks", {"name": first, "more": second})
    api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": first, "more": second})
    api.post("/device_syncto", {"all": True, "comment": first, "start_at": second})
    api.post("/device_syncto", {"hostname": first, "dry_run": second})
    for value in (first, second):
        api.post("/device_syncto", value)


@pytest.mark.devices
@FEWER
@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n")))
def test_any_header_is_answered(api: Api, text: str) -> None:
    for name in (
        "Authorization",
        "Content-Type",
        "Accept",
        "Origin",
        "Host",
        "Idempotency-Key",
        "X-Forwarded-For",
        "Sec-Fetch-Site",
        "Cookie",
        "Accept-Language",
    ):
        assert api.request("POST", "/device_syncto", raw=json.dumps({}).encode(), headers={name: text}).status in (
            400,
            403,
            415,
        )
        assert api.get("/jobs", headers={name: text}).status in (200, 400, 403)
