"""Before a sync is run again, the page says whether a dry run has shown what it will change.

What could only fail, because something that it names is gone, is refused where somebody asks for it.
"""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from cnaasjobs.db.clock import database_now
from devices.follow_ups import AfterSync
from devices.tasks import sync_devices
from jobs.follow_ups import CannotFollow
from jobs.models import Job, JobLink
from jobs.operating import again
from jobs.sql import store
from jobs.states import CameOf, Status
from tests.console.conftest import Person, PersonOf, text_of
from tests.devices.lab import Lab
from tests.factory import NOON, device_row, every, job_row

UNSEEN = "It is a live run, and no dry run has shown what it changes."


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, settings: Any) -> Lab:
    lab = Lab(tmp_path)
    lab.add("a1")
    settings.NORNIR_CONFIG, settings.CNAASJOBS_TEMPLATES = lab.config, lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state
    return lab


def synced(**arguments: Any) -> Job:
    task: Any = sync_devices
    whole = {"hostnames": ["a1"], **arguments}
    job = job_row(task_name=task.name, function_name="sync_devices", start_arguments=json.dumps(whole))
    device_row(job, "a1", reason="the change would differ from what job 7 showed")
    return job


def test_it_is_reported_that_no_dry_run_has_shown_a_live_run(ann: Person) -> None:
    for kind in ("again", "failed"):
        assert UNSEEN in ann.read(f"/jobs/{synced(dry_run=False).pk}/run/{kind}")


@pytest.fixture
def shown() -> Job:
    """A dry run of a1."""
    job = job_row(
        task_name=sync_devices.name,
        start_arguments=json.dumps(sync_devices.bound({"hostnames": ["a1"]})),
        finish_time=database_now(),
    )
    device_row(job, "a1")
    return job


def test_a_plan_is_carried_out_again_but_not_on_what_failed(ann: Person, shown: Job) -> None:
    job = synced(dry_run=False, plan=shown.pk)
    page = ann.read(f"/jobs/{job.pk}/run/again")
    assert f"Each is changed only as job {shown.pk} showed" in page
    assert "What sync_devices After" in page  # as its jobs are called, not its code
    assert UNSEEN in ann.read(f"/jobs/{job.pk}/run/failed")


def test_a_dry_run_is_carried_out_with_its_own_options(ann: Person, shown: Job) -> None:
    arguments = sync_devices.bound({"hostnames": ["a1"], "force": True, "confirm_mode": 2})
    Job.objects.filter(pk=shown.pk).update(start_arguments=json.dumps(arguments))
    live = {"hostnames": ["a1"], "plan": shown.pk, "dry_run": False, "force": True, "resync": False, "confirm_mode": 2}
    assert again.proposal(shown.pk, CameOf.PLAN).arguments == live
    pages = [ann.markup(f"/jobs/{job.pk}") for job in (shown, synced(dry_run=False))]
    assert ["/run/plan" in page for page in pages] == [True, False]
    with pytest.raises(CannotFollow, match="nosuch"):
        AfterSync().require_there({"nosuch": 1})


def is_refused(person: Person, path: str, why: str) -> None:
    """Also if somebody has had the form open for long."""
    assert why in person.read(path, status=409)
    assert why in person.send(path)
    assert not Job.objects.filter(status=Status.SCHEDULED.value).exists()


def test_a_plan_that_is_gone_is_not_carried_out_again(ann: Person, lab: Lab, shown: Job) -> None:
    path = f"/jobs/{synced(dry_run=False, plan=shown.pk).pk}/run/again"
    other = f"/jobs/{synced(dry_run=False, plan=shown.pk, hostnames=['a1', 'a2']).pk}/run/again"
    lab.add("a2")
    is_refused(ann, other, f"Its plan, job {shown.pk}, showed nothing of a2.")
    Job.objects.filter(pk=shown.pk).update(finish_time=NOON)
    gone = "Its plan can't be carried out any more, make a new dry run."
    is_refused(ann, path, f"{gone} Job {shown.pk} is too old for a plan")
    with transaction.atomic():
        store().delete([shown.pk])
    is_refused(ann, path, f"{gone} No job with id {shown.pk} found.")


def test_devices_that_are_gone_are_not_synchronised_again(person_of: PersonOf, lab: Lab) -> None:
    boss = person_of("jobs.view_job", "jobs.add_job", "django_celery_beat.view_periodictask")
    row = every(60, name="nightly", task=sync_devices.name, kwargs='{"hostnames": ["a1"]}')
    paths = [f"/jobs/{synced(dry_run=True).pk}/run/again", f"/schedules/{row.pk}/run"]
    for path in paths:
        boss.read(path)
    lab.add("b1")
    del lab.hosts["a1"]
    lab.write()
    for path in paths:
        is_refused(boss, path, "No device with hostname a1 found in the inventory.")
    (lab.directory / "hosts.yml").write_text("a1: [")
    for path in paths:
        is_refused(boss, path, "hosts.yml, line ")


def test_each_form_names_the_job_that_somebody_has_made_with_it(ann: Person) -> None:
    job, other = synced(dry_run=True), synced(dry_run=True)
    forms = (f"/jobs/{job.pk}/run/failed", f"/jobs/failed?id={job.pk}&id={other.pk}")
    assert not any("Already scheduled" in ann.read(form) for form in forms)
    for status in ("FINISHED", "RUNNING"):
        made = job_row(status, scheduled_by="bob")
        JobLink.objects.create(job=made, of_id=job.pk, kind=CameOf.FAILED.value)
    for form in forms:
        assert re.findall(r"Already scheduled by bob : #(\d+) sync_devices", ann.read(form)) == [str(made.pk)]
        assert f'href="/jobs/{made.pk}"' in ann.markup(form)
    assert "Already scheduled" not in ann.read(f"/jobs/{job.pk}/run/again")  # that is another deed


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_two_people_do_not_run_it_again_without_knowing_of_each_other(person_of: PersonOf) -> None:
    """Both have the form on their screens. The second one's comes back, with the job of the first."""
    ann, bob = (person_of("jobs.view_job", "jobs.add_job", name=name) for name in ("ann", "bob"))
    job, gate = synced(dry_run=True), threading.Barrier(2)
    path = f"/jobs/{job.pk}/run/failed"

    def send(person: Person) -> str:
        try:
            gate.wait()
            form = {"once": person.user.username, "seen": "", "comment": "it's me"}
            return person.client.post(path, form, follow=True).content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        pages = [*threads.map(send, (ann, bob))]
    (made,) = Job.objects.exclude(pk=job.pk)
    first, second = sorted(pages, key=lambda page: "Not scheduled" in page)
    assert f"Scheduled: job {made.pk}" in text_of(first)
    assert f"Not scheduled: The same was scheduled by {made.scheduled_by} meanwhile, as job {made.pk}." in text_of(
        second
    )
    assert f'name="seen" value="{made.pk}"' in second
    assert 'value="it&#x27;s me"' in second
    for person in (ann, bob):  # who knows of it
        assert "Scheduled: job" in person.send(path, {"once": "again", "seen": f"{made.pk}"})
        made = Job.objects.latest("pk")
    assert "Not scheduled" in ann.send("/jobs/failed", {"ids": f"{job.pk}", "seen": ""})
    assert "Scheduled: job" in ann.send("/jobs/failed", {"ids": f"{job.pk}", "seen": f"{made.pk}"})


def test_a_sync_of_one_device_counts_one(ann: Person) -> None:
    assert "1 of 1 device 1 failed" in ann.read(f"/jobs/{synced().pk}")


def test_a_sync_of_no_device_has_nothing_to_apply_or_to_run_again(ann: Person) -> None:
    about = {"task_name": sync_devices.name, "start_arguments": '{"dry_run": true}', "result": '{"devices": {}}'}
    found = {}
    for status in ("FINISHED", "EXCEPTION"):  # the latter may not have come to its devices
        page = ann.markup(f"/jobs/{job_row(status, **about).pk}")
        found[status] = ["/run/plan" in page, "/run/failed" in page, "It went through no device" in page]
    assert found == {"FINISHED": [False, False, True], "EXCEPTION": [False, True, False]}
