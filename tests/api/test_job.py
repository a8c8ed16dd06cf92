"""GET and PUT /job/<id>, filter_jobresult, and the seed's example."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.models import AuditEntry, Job
from tests.api.conftest import Api
from tests.api.rows import make_job

pytestmark = pytest.mark.django_db

# The example of the document that this project implements, as it stands there.
SEED = (Path(__file__).parent / "seed_example.json").read_text()
TASKS = ("push_sync_device", "Generate device config", "Sync device config")


def seed_job() -> Job:
    """The example's row, its result as the text between its keys."""
    example = json.loads(SEED)["data"]["jobs"][0]
    result = re.search(r'"result": (\{.*\}),\s*"exception"', SEED, re.DOTALL)
    assert result is not None
    times: dict[str, Any] = {
        name: datetime.fromisoformat(example[name]).replace(tzinfo=UTC)
        for name in ("scheduled_time", "start_time", "finish_time")
    }
    return make_job(
        "FINISHED",
        result=result.group(1),
        finished_devices='["eosdist"]',
        change_score=21,
        function_name="sync_devices",
        **times,
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


def test_one_job(api: Api) -> None:
    make_job()
    job = make_job("EXCEPTION")
    (shown,) = api.get(f"/job/{job.pk}").data["jobs"]
    assert shown["id"] == job.pk
    assert shown["exception"] == {"message": "no", "type": "ValueError", "args": ["no"], "traceback": ""}
    assert api.get(f"/job/{job.pk}/").data["jobs"] == [shown]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("config", ["push_sync_device", "Sync device config"]),
        ("diff", ["push_sync_device", "Generate device config"]),
        ("config,diff", ["push_sync_device"]),
        ("diff,config,diff", ["push_sync_device"]),
    ],
)
def test_filter_jobresult_drops_tasks(api: Api, asked: str, left: list[str]) -> None:
    seed_job()
    for path in ("/jobs", "/job/101"):
        (job,) = api.get(f"{path}?filter_jobresult={asked}").data["jobs"]
        device = job["result"]["devices"]["eosdist"]
        assert list(device) == ["failed", "job_tasks"]
        assert [task["task_name"] for task in device["job_tasks"]] == left


@pytest.mark.parametrize(
    "result",
    [
        '{"devices": 1, "job_tasks": 1}',
        '["job_tasks"]',
        '"\\"job_tasks\\""',
        '{"devices": {"a": {"job_tasks": "Sync device config"}}}',
        '{"devices": {"a": null, "b": {"job_tasks": ["Sync device config", null]}}}',
        '{"message": "1"}',
        '{"devices": {"a": {"job_tasks": [{"task_name": "other", "n": 123456789012345678901234567890}]}}}',
    ],
)
def test_filter_jobresult_leaves_other_results(api: Api, result: str) -> None:
    job = make_job("FINISHED", result=result)
    (shown,) = api.get(f"/job/{job.pk}?filter_jobresult=config,diff").data["jobs"]
    assert shown["result"] == json.loads(result)


def test_abort_of_a_scheduled_job_ends_it(api: Api) -> None:
    job = make_job("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "wrong day"}).data["jobs"]
    assert shown["status"] == "EXCEPTION"
    assert shown["exception"]["type"] == "JobAborted"
    assert shown["exception"]["message"] == "wrong day (aborted by dev)"
    assert shown["exception"]["args"] == ["wrong day (aborted by dev)"]
    assert shown["finish_time"] is not None


@pytest.mark.parametrize("body", [{"action": "ABORT"}, {"action": "abort", "abort_reason": None}])
def test_abort_without_a_reason(api: Api, body: dict[str, Any]) -> None:
    job = make_job("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", body).data["jobs"]
    assert shown["exception"]["message"] == "Aborted via API call (aborted by dev)"


def test_a_long_reason_is_cut(api: Api) -> None:
    job = make_job("SCHEDULED")
    (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "x" * 300}).data["jobs"]
    assert shown["exception"]["message"] == "x" * 255 + " (aborted by dev)"


def test_abort_of_a_running_job_asks_it_to_stop_and_the_first_reason_stays(api: Api) -> None:
    job = make_job("RUNNING")
    for reason in ("first", "second"):
        (shown,) = api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": reason}).data["jobs"]
        assert shown["status"] == "RUNNING"
    job.refresh_from_db()
    assert job.abort_reason == "first (aborted by dev)"


@pytest.mark.parametrize("status", ["FINISHED", "EXCEPTION"])
def test_abort_of_an_ended_job_is_a_400_and_changes_nothing(api: Api, status: str) -> None:
    job = make_job(status)
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
def test_abort_that_is_none_is_a_400(api: Api, body: Any) -> None:
    job = make_job("SCHEDULED")
    reply = api.put(f"/job/{job.pk}", body)
    assert reply.status == 400
    assert "action" in reply.message or "abort_reason" in reply.message
    assert Job.objects.get().status == "SCHEDULED"


def test_abort_without_a_body_is_a_400(api: Api) -> None:
    assert api.put(f"/job/{make_job('SCHEDULED').pk}").status == 400


def test_abort_is_in_the_audit_trail(api: Api) -> None:
    job = make_job("SCHEDULED")
    api.put(f"/job/{job.pk}", {"action": "ABORT", "abort_reason": "wrong day"})
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.origin, entry.action, entry.job_id, entry.detail) == (
        "dev",
        "127.0.0.1",
        "aborted",
        job.pk,
        "wrong day",
    )
