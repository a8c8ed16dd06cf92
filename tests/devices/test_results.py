"""Results of syncs: clients of the API can leave parts out; the job's page shows devices and diffs."""

import json
from pathlib import Path
from typing import Any

import pytest

from devices.sync.report import DeviceReport
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.result_views import all_parts, view_of
from jobs.testing import perform_job
from tests.admin.conftest import Admin, admin_of, viewer
from tests.api import test_job
from tests.api.conftest import Api, api
from tests.devices.lab import Lab
from tests.factory import job_row

__all__ = ["admin_of", "api", "viewer"]

pytestmark = pytest.mark.django_db(transaction=True)

PUSH, GENERATE, SYNC = TASKS = ("push_sync_device", "Generate device config", "Sync device config")
DIFF = "@@ -16,8 +16,6 @@\n hostname eosdist\n-ip routing\n+ip routing vrf mgmt"


def sync(result: str) -> Job:
    return job_row(result=result, task_name=sync_devices.name)


def device(*, failed: bool = False, diff: str = "", config: str = "hostname x") -> dict[str, Any]:
    tasks = [
        {"diff": "", "failed": failed, "result": "cannot connect" if failed else None, "task_name": PUSH},
        {"diff": "", "failed": False, "result": config, "task_name": GENERATE},
        {"diff": diff, "failed": False, "result": None, "task_name": SYNC},
    ]
    return {"failed": failed, "job_tasks": tasks}


def page_of(admin: Admin, job: Job) -> str:
    return admin.get(f"/jobs/job/{job.pk}/change/")


def test_a_failure_and_what_else_is_to_be_said_are_one_text() -> None:
    said = DeviceReport(failure="no answer", notes=["changed outside", "not saved"]).as_result()
    assert {task["result"] for task in said["job_tasks"]} == {"no answer; changed outside; not saved"}


# --- the API ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("config", [PUSH, SYNC]),
        ("diff", [PUSH, GENERATE]),
        ("config,diff", [PUSH]),
        ("diff,config,diff", [PUSH]),
    ],
)
def test_filter_jobresult_drops_tasks_of_the_seeds_example(api: Api, asked: str, left: list[str]) -> None:
    job = test_job.seed_job(task_name=sync_devices.name)
    for path in ("/jobs", f"/job/{job.pk}"):
        (shown,) = api.get(f"{path}?filter_jobresult={asked}").data["jobs"]
        result = shown["result"]["devices"]["eosdist"]
        assert list(result) == ["failed", "job_tasks"]
        assert [task["task_name"] for task in result["job_tasks"]] == left


def test_filter_jobresult_drops_tasks_of_a_sync(api: Api, lab: Lab) -> None:
    lab.add("sw1")
    job = perform_job(sync_devices, all=True)
    (whole,) = api.get(f"/job/{job.pk}").data["jobs"]
    (shown,) = api.get(f"/job/{job.pk}?filter_jobresult=config").data["jobs"]
    push, generate, diff = whole["result"]["devices"]["sw1"]["job_tasks"]
    assert [task["task_name"] for task in (push, generate, diff)] == [*TASKS]
    assert shown["result"] == {"devices": {"sw1": {"failed": False, "job_tasks": [push, diff]}}}


def test_an_unknown_part_is_a_400(api: Api) -> None:
    reply = api.get("/jobs?filter_jobresult=config,push")
    assert (reply.status, reply.message) == (
        400,
        "Unable to filter jobs: unknown part 'push' in filter_jobresult, must be config or diff",
    )
    assert all_parts() == ["config", "diff"]


def test_a_long_result_is_read_whole(api: Api) -> None:
    tasks = [{"task_name": name, "result": "x" * 300 * 1024} for name in (SYNC, PUSH)]
    job = sync(json.dumps({"devices": {"a": {"failed": False, "job_tasks": tasks}}}))
    (shown,) = api.get(f"/job/{job.pk}?filter_jobresult=diff").data["jobs"]
    assert shown["result"]["devices"]["a"]["job_tasks"] == tasks[1:]


ODD = [
    '{"devices": 1, "job_tasks": 1}',
    '["job_tasks"]',
    '"\\"job_tasks\\""',
    '{"devices": [1]}',
    '{"devices": {"a": {"job_tasks": 7}}}',
    '{"devices": {"a": {"job_tasks": [{}]}}}',
    '{"devices": {"a": {"job_tasks": [{"diff": 7, "failed": 1, "result": {"x": []}, "task_name": null}]}}}',
    '{"devices": {"a": {"job_tasks": "Sync device config"}}}',
    '{"devices": {"a": null, "b": {"job_tasks": ["Sync device config", null]}}}',
    '{"message": "1"}',
    '{"devices": {"a": {"job_tasks": [{"task_name": "other", "n": 123456789012345678901234567890}]}}}',
    '{"job_tasks": ' + "[" * 900 + "]" * 900 + "}",
]


@pytest.mark.parametrize("result", ODD)
def test_a_result_of_another_form_is_given_as_it_is(api: Api, result: str) -> None:
    (shown,) = api.get(f"/job/{sync(result).pk}?filter_jobresult=config,diff").data["jobs"]
    assert shown["result"] == json.loads(result)


# --- the admin --------------------------------------------------------------------------------------------------------


def test_the_page_shows_failed_devices_first_and_their_diffs_line_by_line(viewer: Admin) -> None:
    result = {"devices": {"same": device(), "changed": device(diff=DIFF), "broken": device(failed=True)}}
    job = sync(json.dumps(result))
    page = page_of(viewer, job)
    assert "3 devices: 1 failed, 1 with changes" in page
    assert page.index("broken") < page.index("changed") < page.index("same")
    body = viewer.raw(f"/jobs/job/{job.pk}/change/")
    assert '<span class="removed">-ip routing</span><span class="added">+ip routing vrf mgmt</span>' in body
    assert 'href="/static/devices/sync_result.css"' in body


def test_a_sync_of_1000_devices_shows_the_interesting_ones_within_bounds(viewer: Admin) -> None:
    config = "interface Ethernet1\n" * 250
    everyone = {f"d{i}": device(failed=i == 990, diff=DIFF if i == 995 else "", config=config) for i in range(1000)}
    job = sync(json.dumps({"devices": everyone}))
    body = viewer.raw(f"/jobs/job/{job.pk}/change/")
    assert len(body) < 900_000
    assert body.index("<strong>d990</strong>") < body.index("<strong>d995</strong>") < body.index("<strong>d0</strong>")
    assert "more devices in" in body


@pytest.mark.parametrize("result", ODD)
def test_any_result_that_can_be_stored_is_shown(viewer: Admin, result: str) -> None:
    assert "Result" in page_of(viewer, sync(result))


def test_the_platform_knows_nothing_of_the_form() -> None:
    """Only devices knows the vocabulary of a sync: templates, style sheets and code of lower rooms do not use it."""
    root = Path(__file__).resolve().parents[2]
    files = [path for room in ("jobs", "locks", "cnaasjobs/api") for path in (root / room).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in files if path.suffix in {".py", ".html", ".css", ".js"}}
    assert len(texts) > 100
    assert not [path for path, text in texts.items() if any(word in text for word in ('"job_tasks"', GENERATE, SYNC))]
    assert view_of(sync_devices.name).parts == ("config", "diff")
