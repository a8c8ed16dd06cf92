"""The page of one job."""

import csv
import json
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from jobs.models import Job, JobDevice, JobLink
from jobs.states import CameOf, Milestone
from tests.console.conftest import Person
from tests.factory import device_row, hold_lock, job_row

HOSTILE = "<script>alert('x')</script>"
SYNC = "devices.tasks.sync_devices"


def report(*, diff: str = "", config: str = "hostname sw1\n", failed: bool = False, said: str | None = None) -> str:
    tasks = [
        {"diff": "", "failed": failed, "result": said, "task_name": "push_sync_device"},
        {"diff": "", "failed": False, "result": config, "task_name": "Generate device config"},
        {"diff": diff, "failed": failed, "result": said, "task_name": "Sync device config"},
    ]
    return json.dumps({"failed": failed, "job_tasks": tasks})


@pytest.fixture
def sync(db: None) -> Job:
    """A dry run of five devices, one of each kind that a job leaves, and one more."""
    job = job_row(
        function_name="sync_devices (dry_run)", task_name=SYNC, start_arguments='{"dry_run": true}', change_score=9
    )
    device_row(job, "sw1", changed=False, report=report())
    device_row(job, "sw2", changed=True, change_score=9, report=report(diff=f"@@ -1 +1 @@\n-old\n+{HOSTILE}"))
    device_row(job, "sw3", reason="timed out", report=report(failed=True, said="timed out"))
    device_row(job, "sw4", "WAITING")
    device_row(job, "access/5", changed=True, report=report(diff="+comment"))
    return job


def hosts(page: str) -> list[str]:
    return re.findall(r'data-host="([^"]+)"', page)


def test_the_reason_comes_first(viewer: Person) -> None:
    stored = {"message": "no such host", "type": "Broken", "args": [""], "traceback": "Traceback\n  line 3"}
    failed = job_row("EXCEPTION", exception_type="Broken", exception=json.dumps(stored))
    said = viewer.read(f"/jobs/{failed.pk}")
    assert said.index("Broken : no such host") < said.rindex("Timeline")
    assert "line 3" in said
    holder = job_row("RUNNING", lock_name="devices")
    hold_lock("devices", holder)
    waits = job_row("SCHEDULED", lock_name="devices", parked=True)
    assert f"held by job {holder.pk}" in viewer.read(f"/jobs/{waits.pk}")
    told = job_row("RUNNING", abort_reason="wrong window (aborted by ann)")
    assert "Told to stop: wrong window (aborted by ann)" in viewer.read(f"/jobs/{told.pk}")


def test_a_job_that_finished_with_failed_devices_does_not_look_as_if_all_went_well(viewer: Person, sync: Job) -> None:
    """Neither in the list nor in a tab that is not looked at."""
    assert 'data-look="lost"' in viewer.markup("/jobs").partition(f'id="job-{sync.pk}"')[2].partition(">")[0]
    page = viewer.markup(f"/jobs/{sync.pk}")
    assert "<title>! #" in page
    assert "icon-exception.svg" in page
    JobDevice.objects.update(failed=False, reason=None)
    page = viewer.markup(f"/jobs/{sync.pk}?device=sw")
    assert "<title>✓ #" in page


def test_devices_are_in_groups_failed_first(viewer: Person, sync: Job) -> None:
    page = viewer.markup(f"/jobs/{sync.pk}")
    assert hosts(page) == ["sw3", "sw2", "access/5", "sw4", "sw1"]
    said = viewer.read(f"/jobs/{sync.pk}")
    assert "All 5 Failed 1 Would change 2 Not begun 1 No change 1" in said
    assert "4 of 5 devices" in said


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("only=failed", ["sw3"]),
        ("only=changed", ["sw2", "access/5"]),
        ("only=unchanged", ["sw1"]),
        ("device=ACC", ["access/5"]),
        ("device=sw&only=waiting", ["sw4"]),
        ("only=nonsense&page=x", ["sw3", "sw2", "access/5", "sw4", "sw1"]),
        ("device=nowhere", []),
        ("device=%00sw1&page=99999999999999999999", ["sw1"]),
    ],
)
def test_devices_are_found_by_name_and_by_what_became_of_them(
    viewer: Person, sync: Job, query: str, found: list[str]
) -> None:
    assert hosts(viewer.markup(f"/jobs/{sync.pk}?{query}")) == found


def test_a_device_of_an_earlier_version_is_judged_by_its_score(viewer: Person) -> None:
    """Its row does not say whether it was changed."""
    job = job_row(start_arguments='{"dry_run": false}')
    device_row(job, "sw1", change_score=3)
    device_row(job, "sw2", change_score=0)
    assert hosts(viewer.markup(f"/jobs/{job.pk}?only=changed")) == ["sw1"]
    assert hosts(viewer.markup(f"/jobs/{job.pk}?only=unchanged")) == ["sw2"]


def test_five_thousand_devices_come_in_pages(viewer: Person) -> None:
    job = job_row()
    made = [
        JobDevice(
            job=job,
            place=n,
            host=f"sw{n:04}",
            state="DONE",
            finish_time=job.finish_time,
            failed=n % 50 == 0,
            reason="r" * 300 if n % 50 == 0 else None,
            report="{}",
        )
        for n in range(5000)
    ]
    JobDevice.objects.bulk_create(made, batch_size=500)
    page = viewer.markup(f"/jobs/{job.pk}")
    assert len(page.encode()) < 150_000
    assert hosts(page) == [f"sw{n:04}" for n in range(0, 5000, 50)]
    assert "page 1 of 50" in viewer.read(f"/jobs/{job.pk}")
    last = viewer.markup(f"/jobs/{job.pk}?page=50")
    assert hosts(last)[-1] == "sw4999"
    assert len(viewer.open(f"/jobs/{job.pk}/devices.csv").content.splitlines()) == 5001


def test_a_full_page_takes_few_statements(viewer: Person, django_assert_max_num_queries: Any) -> None:
    job = job_row()
    for n in range(100):
        device_row(job, f"sw{n}")
    with django_assert_max_num_queries(20):
        viewer.open(f"/jobs/{job.pk}")


def test_diff_and_configuration_are_shown_on_demand(viewer: Person, sync: Job) -> None:
    page = viewer.markup(f"/jobs/{sync.pk}")
    assert "+comment" not in page
    assert HOSTILE not in page
    assert f'href="/jobs/{sync.pk}/devices/sw2"' in page
    for path in (f"/jobs/{sync.pk}/devices/sw2", f"/jobs/{sync.pk}/devices/sw2?part=1"):
        device = viewer.markup(path)
        assert '<span class="removed">-old\n</span>' in device
        assert '<span class="added">+&lt;script&gt;' in device
        assert "hostname sw1" in device
        assert "<script>alert" not in device
    assert "<html" not in device
    assert "timed out" in viewer.read(f"/jobs/{sync.pk}/devices/sw3")
    assert "comment" in viewer.read(f"/jobs/{sync.pk}/devices/access/5")
    assert "Nothing was reported about it yet" in viewer.read(f"/jobs/{sync.pk}/devices/sw4")


def test_any_report_is_shown(viewer: Person) -> None:
    job = job_row()
    device_row(job, "sw1", report=json.dumps({"checks": [HOSTILE]}))
    device_row(job, "sw2", report='"just words"')
    device_row(job, "sw3", report="[" * 3000 + "]" * 3000)
    device_row(job, "sw4", report="[" * 500 + "]" * 500)
    assert HOSTILE in viewer.read(f"/jobs/{job.pk}/devices/sw1")
    assert "just words" in viewer.read(f"/jobs/{job.pk}/devices/sw2")
    assert "[[[" in viewer.read(f"/jobs/{job.pk}/devices/sw3")
    assert "[[[" in viewer.read(f"/jobs/{job.pk}/devices/sw4")  # indented it would be ten times as long as a page


def test_a_long_configuration_is_cut(viewer: Person) -> None:
    job = job_row(task_name=SYNC)
    device_row(job, "sw1", report=report(config="x\n" * 100_000))
    page = viewer.markup(f"/jobs/{job.pk}/devices/sw1")
    assert len(page) < 100_000
    assert "140,000 more characters" in page


def test_the_timeline_is_told_in_order(viewer: Person) -> None:
    job = job_row("FINISHED", worker="celery@w1")
    job.milestones.create(milestone=Milestone.POSTED.value, time=job.scheduled_time.replace(hour=11))
    said = viewer.read(f"/jobs/{job.pk}").partition("Timeline")[2]
    assert said.index("Posted") < said.index("Due after 1 h 00 min") < said.index("Started after 1.0 s")
    assert said.index("celery@w1") < said.index("Ended after 1.0 s")
    job.milestones.update(time=job.scheduled_time + timedelta(milliseconds=1))  # of a job that is due at once
    said = viewer.read(f"/jobs/{job.pk}").rpartition("Timeline")[2]
    assert said.index("Posted") < said.index("Due") < said.index("Started")


def test_the_chain_is_linked_both_ways(viewer: Person) -> None:
    other = job_row()
    JobLink.objects.create(job=job_row(next_job_id=other.pk), of_id=job_row().pk, kind=CameOf.AGAIN.value)
    live = job_row()
    dry = job_row(function_name="sync_devices (dry_run)", next_job_id=live.pk)
    again, plan = job_row("EXCEPTION"), job_row("RUNNING")
    JobLink.objects.create(job=again, of_id=live.pk, kind=CameOf.FAILED.value)
    JobLink.objects.create(job=plan, of_id=again.pk, kind=CameOf.PLAN.value)
    orphan = job_row()
    JobLink.objects.create(job=orphan, of_id=4711, kind=CameOf.AGAIN.value)
    members = {dry.pk, live.pk, again.pk, plan.pk}
    device_row(live, "sw1", reason="timed out")
    for job in (dry, live, again, plan):
        chain = viewer.markup(f"/jobs/{job.pk}").partition('id="chain"')[2].partition("</ol>")[0]
        assert {int(each) for each in re.findall(r'href="/jobs/(\d+)"', chain)} == members - {job.pk}
    assert re.findall(r"badge is-(\w+)", chain) == ["lost", "finished", "exception", "running"]  # one failed in live
    assert "#4711 pruned" in viewer.read(f"/jobs/{orphan.pk}")
    assert 'id="chain"' not in viewer.markup(f"/jobs/{job_row().pk}")


def test_a_circle_of_links_ends(viewer: Person) -> None:
    one, two = job_row(), job_row()
    JobLink.objects.create(job=one, of_id=two.pk, kind=CameOf.AGAIN.value)
    JobLink.objects.create(job=two, of_id=one.pk, kind=CameOf.AGAIN.value)
    assert 'id="chain"' in viewer.markup(f"/jobs/{one.pk}")


def test_a_chain_shows_only_so_many_jobs_side_by_side(viewer: Person) -> None:
    job = job_row()
    for _ in range(40):
        JobLink.objects.create(job=job_row(), of_id=job.pk, kind=CameOf.AGAIN.value)
    chain = viewer.markup(f"/jobs/{job.pk}").partition('id="chain"')[2].partition("</ol>")[0]
    assert len(re.findall(r'href="/jobs/', chain)) == 29


def test_devices_are_taken_away_as_csv_as_filtered(viewer: Person, sync: Job) -> None:
    device_row(sync, "=cmd|' /C calc'!A0", reason="-1+1", report=None)
    response = viewer.open(f"/jobs/{sync.pk}/devices.csv?only=failed")
    assert response["Content-Disposition"] == f'attachment; filename="job-{sync.pk}-devices.csv"'
    table = list(csv.reader(StringIO(response.content.decode())))
    assert [row[:3] for row in table] == [
        ["device", "outcome", "reason"],
        ["sw3", "failed", "timed out"],
        ["'=cmd|' /C calc'!A0", "failed", "'-1+1"],
    ]


def test_diffs_are_taken_away_as_filtered(viewer: Person, sync: Job) -> None:
    def diffs(query: str) -> str:
        response: Any = viewer.open(f"/jobs/{sync.pk}/diff{query}")
        return b"".join(response.streaming_content).decode()

    assert diffs("") == f"=== sw2 ===\n@@ -1 +1 @@\n-old\n+{HOSTILE}\n\n=== access/5 ===\n+comment\n\n"
    assert diffs("?device=access") == "=== access/5 ===\n+comment\n\n"


def test_raw_json_is_the_apis(viewer: Person, sync: Job) -> None:
    response = viewer.open(f"/jobs/{sync.pk}/raw")
    assert response["Content-Type"] == "application/json"
    from_api = viewer.client.get(f"/api/v1.0/job/{sync.pk}").json()["data"]["jobs"][0]
    assert json.loads(response.content) == from_api


def test_a_result_without_devices_is_shown(viewer: Person) -> None:
    assert '"rows": 3' in viewer.read(f"/jobs/{job_row(result=json.dumps({'rows': 3, 'x': HOSTILE})).pk}")
    assert HOSTILE in viewer.read(f"/jobs/{job_row(result=json.dumps(HOSTILE)).pk}")
    big = viewer.markup(f"/jobs/{job_row(result=json.dumps(['x' * 1000] * 1000)).pk}")
    assert len(big.encode()) < 150_000
    for depth in (500, 3000):
        deep = "[" * depth + "]" * depth
        assert "[[[" in viewer.read(f"/jobs/{job_row(result=deep).pk}")


@pytest.mark.parametrize("path", ["", "/raw", "/devices.csv", "/diff", "/log", "/devices/sw1", "/run/again"])
def test_what_is_not_there_is_a_404(ann: Person, path: str) -> None:
    assert "no job" in ann.read(f"/jobs/4711{path}", status=404).lower()


@pytest.mark.parametrize("path", ["/jobs/99999999999999999999", "/jobs/x", "/jobs/1/run/nonsense"])
def test_what_is_no_page_is_a_404_too(ann: Person, path: str) -> None:
    assert ann.client.get(path, headers={"Accept": "text/html"}).status_code == 404


def test_an_unknown_device_is_a_404(viewer: Person, sync: Job) -> None:
    for host in ("nowhere", "%00", HOSTILE):
        assert "<script>alert" not in viewer.markup(f"/jobs/{sync.pk}/devices/{host}", status=404)


def test_words_that_turn_the_text_around_turn_only_themselves(viewer: Person) -> None:
    job = job_row("SCHEDULED", queue="night\u202e")
    page = viewer.markup(f"/jobs/{job.pk}")
    assert "<bdi>No live worker serves its queue night\u202e.</bdi>" in page
