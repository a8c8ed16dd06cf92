"""GET and PUT /job/<id>, filter_jobresult, and the seed's example."""

import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs import result_views
from jobs.models import AuditEntry, Job
from jobs.result_views import ResultView
from tests.api.conftest import Api
from tests.factory import job_row

pytestmark = pytest.mark.django_db

# The example of the document that this project implements, as it stands there.
SEED = (Path(__file__).parent / "seed_example.json").read_text()


def seed_job(**fields: Any) -> Job:
    """The example's row, its result as the text between its keys."""
    example = json.loads(SEED)["data"]["jobs"][0]
    result = re.search(r'"result": (\{.*\}),\s*"exception"', SEED, re.DOTALL)
    assert result is not None
    times: dict[str, Any] = {
        name: datetime.fromisoformat(example[name]).replace(tzinfo=UTC)
        for name in ("scheduled_time", "start_time", "finish_time")
    }
    return job_row(
        "FINISHED",
        result=result.group(1),
        finished_devices='["eosdist"]',
        change_score=21,
        function_name="sync_devices",
        **times,
        **fields,
        id=101,
    )


def test_the_seeds_example_comes_back_key_for_key(api: Api) -> None:
    seed_job()
    expected = json.loads(SEED)
    for path in ("/jobs", "/job/101"):
        reply = api.get(path)
        (job,) = reply.body["data"]["jobs"]
        assert job.pop("start_arguments") == {}
        assert json.dumps(reply.body) == json.dumps(expected)  # the same keys in the same order with the same values


def test_one_job_is_shown_with_its_exception(api: Api) -> None:
    job_row()
    job = job_row("EXCEPTION")
    (shown,) = api.get(f"/job/{job.pk}").data["jobs"]
    assert shown["id"] == job.pk
    assert shown["exception"] == {"message": "no", "type": "ValueError", "args": ["no"], "traceback": ""}
    assert api.get(f"/job/{job.pk}/").data["jobs"] == [shown]


class _Sums(ResultView):
    """Of a task whose results are numbers by name: a client may leave out the odd ones, or the sum."""

    parts = ("odd", "sum")

    def without(self, stored: str, parts: Collection[str]) -> str:
        numbers = json.loads(stored)
        is_odd = {name: number % 2 for name, number in numbers.items()}
        left = {name: number for name, number in numbers.items() if not (is_odd[name] and "odd" in parts)}
        return json.dumps({name: number for name, number in left.items() if not (name == "sum" and "sum" in parts)})


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_views, "_views", {"tests.fake_jobs.add": _Sums()})


@pytest.mark.usefixtures("sums")
def test_a_result_is_given_as_the_view_of_its_task_gives_it(api: Api) -> None:
    stored = '{"a":  1, "b": 3, "sum": 4}'
    job_row("FINISHED", result=stored, task_name="tests.fake_jobs.add")
    other = job_row("FINISHED", result=stored, task_name="tests.fake_jobs.echo")
    job_row("FINISHED", result='"an old result"', task_name="tests.fake_jobs.add")
    failed = job_row("EXCEPTION", task_name="tests.fake_jobs.add")

    def results(query: str) -> list[Any]:
        return [job["result"] for job in api.get(f"/jobs?{query}").data["jobs"]]

    whole = json.loads(stored)
    assert results("") == [whole, whole, "an old result", None]
    assert results("filter_jobresult=odd") == [{"sum": 4}, whole, "an old result", None]
    assert results("filter_jobresult=odd,sum") == [{}, whole, "an old result", None]
    assert stored.encode() in api.get(f"/job/{other.pk}?filter_jobresult=sum").raw
    (shown,) = api.get(f"/job/{failed.pk}?filter_jobresult=sum").data["jobs"]
    assert shown["exception"]["type"] == "ValueError"


@pytest.mark.usefixtures("sums")
@pytest.mark.parametrize("asked", ["config", "", "odd,", "odd,even", "ODD"])
def test_a_part_that_no_view_knows_is_a_400_that_says_which_do(api: Api, asked: str) -> None:
    job_row()
    for path in ("/jobs", "/job/1"):
        reply = api.get(f"{path}?filter_jobresult={asked}")
        assert reply.status == 400
        assert reply.message.startswith("Unable to filter jobs: unknown part '")
        assert reply.message.endswith(" in filter_jobresult, must be odd or sum")


def test_where_no_task_has_a_view_there_are_no_parts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_views, "_views", {})
    reply = api.get("/jobs?filter_jobresult=config")
    assert (reply.status, reply.message.partition(": ")[2]) == (
        400,
        "unknown part 'config' in filter_jobresult, results here have none",
    )


def test_abort_of_a_scheduled_job_ends_it(api: Api) -> None:
    job = job_row("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "wrong day"}).data["jobs"]
    assert shown["status"] == "EXCEPTION"
    assert shown["exception"]["type"] == "JobAborted"
    assert shown["exception"]["message"] == "wrong day (aborted by dev)"
    assert shown["exception"]["args"] == ["wrong day (aborted by dev)"]
    assert shown["finish_time"] is not None


@pytest.mark.parametrize("reason", [{}, {"abort_reason": None}, {"abort_reason": ""}, {"abort_reason": " \n"}])
def test_an_abort_without_a_reason_gets_one(api: Api, reason: dict[str, Any]) -> None:
    job = job_row("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", {"action": "abort", **reason}).data["jobs"]
    assert shown["exception"]["message"] == "Aborted via API call (aborted by dev)"


def test_a_long_reason_is_cut(api: Api) -> None:
    job = job_row("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "x" * 300}).data["jobs"]
    assert shown["exception"]["message"] == "x" * 255 + " (aborted by dev)"


def test_abort_of_a_running_job_asks_it_to_stop_and_the_first_reason_stays(api: Api) -> None:
    job = job_row("RUNNING")
    for reason in ("first", "second"):
        (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": reason}).data["jobs"]
        assert shown["status"] == "RUNNING"
    job.refresh_from_db()
    assert job.abort_reason == "first (aborted by dev)"


@pytest.mark.parametrize("status", ["FINISHED", "EXCEPTION"])
def test_abort_of_an_ended_job_is_a_400_and_changes_nothing(api: Api, status: str) -> None:
    job = job_row(status)
    before = api.get(f"/job/{job.pk}").data
    reply = api.put(f"/job/{job.pk}", {"action": "ABORT"})
    assert reply.status == 400
    assert reply.message == f"Job id {job.pk} is in state {status}, must be SCHEDULED or RUNNING to abort"
    assert api.get(f"/job/{job.pk}").data == before
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "START"},
        {"action": None},
        {"action": 1},
        {"action": ["ABORT"]},
        {"action": "ABORT", "abort_reason": 1},
    ],
)
def test_an_invalid_abort_is_a_400(api: Api, body: Any) -> None:
    job = job_row("SCHEDULED")
    reply = api.put(f"/job/{job.pk}", body)
    assert reply.status == 400
    assert "action" in reply.message or "abort_reason" in reply.message
    assert Job.objects.get().status == "SCHEDULED"


def test_abort_without_a_body_is_a_400(api: Api) -> None:
    assert api.put(f"/job/{job_row('SCHEDULED').pk}").status == 400


def test_abort_is_in_the_audit_trail(api: Api) -> None:
    job = job_row("SCHEDULED")
    api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "wrong day"})
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.origin, entry.action, entry.job_id, entry.detail) == (
        "dev",
        "127.0.0.1",
        "aborted",
        job.pk,
        "wrong day",
    )


@pytest.mark.parametrize("number", ["4711", "x", "9" * 30])
def test_a_job_that_does_not_exist_is_a_404(api: Api, number: str) -> None:
    job_row()
    for answer in (api.get(f"/job/{number}"), api.put(f"/job/{number}", {"action": "ABORT"})):
        assert (answer.status, answer.message) == (404, f"No job with id {number} found")
