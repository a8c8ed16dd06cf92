"""The list of devices, and the page of one: results, commits, drift, its jobs, its place in line."""

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cnaasjobs.db.clock import database_now
from console.reads import devices as reads
from devices.models import DeviceState
from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.states import Status
from tests import fake_jobs
from tests.console.conftest import Person
from tests.devices.lab import Lab
from tests.factory import NOON, device_row, job_in, job_row
from tests.large import statements_of


@pytest.fixture
def lab(tmp_path: Path, settings: Any) -> Lab:
    lab = Lab(tmp_path)
    settings.NORNIR_CONFIG, settings.CNAASJOBS_TEMPLATES = lab.config, lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state
    return lab


def committed(host: str, job: Job, **fields: Any) -> None:
    values = {"rendered_hash": "0" * 64, "running_hash": "", "job_id": job.pk, "committed_at": NOON}
    DeviceState.objects.create(host=host, **(values | fields))


def test_the_list_has_each_device_of_the_inventory_with_its_last_result(viewer: Person, lab: Lab) -> None:
    lab.add("a1", "a2")
    job = job_row()
    device_row(job, "a1", reason="no route to host")
    page = viewer.read("/devices")
    assert "2 devices" in page
    assert f"a1 ACCESS lab never committed ✕ failed in #{job.pk}" in page
    assert 'href="/devices/a2"' in viewer.markup("/devices")


def test_a_resync_that_found_nothing_to_change_is_no_commit(viewer: Person, lab: Lab) -> None:
    lab.add("a1")
    job = job_row()
    committed("a1", job, changes="[]")
    page = viewer.read("/devices/a1")
    assert f"Last synchronised {NOON:%Y-%m-%d %H:%M:%S} UTC in #{job.pk}" in page
    assert "Changed by live syncs" not in page


def test_more_devices_are_no_more_statements_and_the_last_result_is_the_newest(viewer: Person, lab: Lab) -> None:
    lab.add("a1")
    device_row(job_row(), "a1", reason="no route to host")
    few = len(statements_of(viewer.client, "/devices"))
    lab.add(*(f"a{number}" for number in range(2, 12)))
    newest = job_row()
    for number in range(1, 12):
        device_row(newest, f"a{number}")
        device_row(job_row("RUNNING"), f"a{number}", "TAKEN")
    assert len(statements_of(viewer.client, "/devices")) == few
    page = viewer.read("/devices")
    assert page.count(f"nothing to change in #{newest.pk} ") == 11
    assert "no route" not in page


def test_the_list_is_searched_by_name_type_platform_or_group(viewer: Person, lab: Lab) -> None:
    lab.add("a1", "a2", "b1")
    assert "1 of 3 devices match" in viewer.read("/devices?find=A1")
    assert "1 of 3 devices match" in viewer.read("/devices?find=B1")
    assert "3 of 3 devices match" in viewer.read("/devices?find=access")
    assert "No device matches this." in viewer.read("/devices?find=nowhere")


def test_a_list_of_devices_is_found_however_it_is_pasted(viewer: Person, lab: Lab) -> None:
    lab.add("a1", "a10", "b1")
    job, other = job_row(), job_row()
    for name in ("a1", "a10", "b1"):
        device_row(job, name)
    device_row(other, "a10")
    for between in ("\t", ";", ",", "\n", "\r\n", ", ", " "):
        pasted = between.join(("a1", "gone", "B1"))
        page = viewer.read(f"/devices?{urlencode({'find': pasted})}")
        assert ("2 of 3 devices match" in page, "No device is called gone." in page) == (True, True), between
        assert (" a1 " in page, " a10 " in page, " b1 " in page) == (True, False, True)
        page = viewer.read(f"/jobs/{job.pk}?{urlencode({'device': pasted.lower()})}")
        assert (" a1 " in page, " a10 " in page, " b1 " in page) == (True, False, True), between
        searched = f'device:"{pasted}"'
        page = viewer.read(f"/jobs?{urlencode({'q': searched})}")
        assert (f"#{job.pk}" in page, f"#{other.pk}" in page) == (True, False), between


def test_a_long_list_has_pages(viewer: Person, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "PAGE", 2)
    lab.add("a1", "a2", "a3")
    assert "page 1 of 2" in viewer.read("/devices")
    assert "a3" in viewer.read("/devices?page=2")
    assert "a3" in viewer.read("/devices?page=99")
    assert "a1" in viewer.read("/devices?page=x")


def test_an_inventory_that_cannot_be_read_is_reported_and_what_jobs_know_is_shown(viewer: Person, lab: Lab) -> None:
    device_row(job_row(), "a1")
    (lab.directory / "hosts.yml").write_text("a1: [")
    assert "The inventory can't be read" in viewer.read("/devices", status=503)
    page = viewer.read("/devices/a1")
    assert "The inventory can't be read" in page
    assert "nothing to change" in page


def test_a_device_that_nobody_knows_is_a_404(viewer: Person, lab: Lab) -> None:
    lab.add("a1")
    assert "1 devices" not in viewer.read("/devices")
    assert "Neither the inventory nor any job knows b7" in viewer.read("/devices/b7", status=404)
    viewer.read("/devices/b%007", status=404)
    viewer.read("/devices/../../etc/passwd", status=404)


@pytest.mark.parametrize("name", ["rack 7/a?b#c%d", "two\nlines", "jobs", "..a1", "%2E%2E", "a\\b;c=d&e+f", " é "])
def test_a_name_of_any_characters_has_its_pages(viewer: Person, lab: Lab, name: str) -> None:
    lab.add(name)
    job = job_row()
    device_row(job, name)
    for page in ("/devices", f"/jobs/{job.pk}"):
        links = {html.unescape(link) for link in re.findall(rf'href="({page}/[^"]+)"', viewer.markup(page))}
        (link,) = [link for link in links if "/devices/" in link]
        assert " ".join(name.split()) in viewer.read(link)


@pytest.mark.parametrize(
    ("known", "row", "said"),
    [
        (None, {}, "never committed"),
        ({"uncertain_job_id": 77}, {}, "uncertain since job 77"),
        ({}, {}, "a sync would change it"),
        ({}, {"reason": "the configuration was changed outside since the last commit; use force"}, "changed outside"),
    ],
)
def test_its_page_says_whether_a_device_runs_what_it_should(
    viewer: Person, lab: Lab, known: dict[str, Any] | None, row: dict[str, Any], said: str
) -> None:
    lab.add("a1")
    job = job_row()
    device_row(job, "a1", **row)
    if known is not None:
        committed("a1", job, **known)
    assert f"a1 {said}" in viewer.read("/devices/a1")


def test_in_sync_is_what_a_sync_would_say(viewer: Person, lab: Lab, settings: Any) -> None:
    from cnaasjobs.secrecy import Secrets
    from devices import inventory
    from devices.rendering import render
    from devices.sync.known import digest

    lab.add("a1")
    host = inventory.nornir().inventory.hosts["a1"]
    text = render(host, Secrets.from_environment(), lambda: None)
    committed("a1", job_row(), rendered_hash=digest(text), changes=f'[[{NOON.timestamp()}, "ann"]]')
    page = viewer.read("/devices/a1")
    assert "a1 in sync" in page
    assert "Changed by live syncs 2025-11-24 12:00:00 UTC by ann" in page


def test_its_page_lists_its_jobs_newest_first_with_pages(
    viewer: Person, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "HISTORY", 2)
    jobs = [job_row(scheduled_by=f"person{number}") for number in range(3)]
    for job in jobs:
        device_row(job, "a1", change_score=12)
    device_row(jobs[1], "b1", reason="no route")
    page = viewer.read("/devices/a1")
    assert page.index("✓ finished") < page.index("! finished")
    assert page.index(f"#{jobs[2].pk} ") < page.index(f"#{jobs[1].pk} ")
    assert "changed, score 12" in page
    assert "person0" not in page
    older = viewer.read(f"/devices/a1?before={jobs[1].pk}")
    assert "person0" in older
    assert "person2" not in older


def test_its_place_in_line_counts_the_syncs_that_are_for_it(viewer: Person, lab: Lab) -> None:
    lab.add("a1", "a2")
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    for_it = [
        scheduling.schedule(sync_devices, arguments).pk
        for arguments in ({"hostnames": ["a1"]}, {"all": True}, {"group": "access"}, {"device_type": "access"})
    ]
    for arguments in ({"hostnames": ["a2"]}, {"group": "elsewhere"}, {"device_type": "CORE"}):
        scheduling.schedule(sync_devices, arguments)
    scheduling.schedule(sync_devices, {"all": True}, at=database_now() + timedelta(hours=1))
    assert [job.pk for job in reads.waiting_for("a1")] == for_it
    assert "It is next in line." in viewer.read("/devices/a1")


def test_a_job_that_is_at_work_on_it_says_so(viewer: Person, lab: Lab) -> None:
    lab.add("a1", "a2")
    job = job_row("RUNNING")
    device_row(job, "a1", "TAKEN", step="commit")
    device_row(job, "a2", "WAITING")
    assert f"sync_devices #{job.pk} is running, and is working on it: commit." in viewer.read("/devices/a1")
    assert f"sync_devices #{job.pk} is running, and has not begun it yet." in viewer.read("/devices/a2")
