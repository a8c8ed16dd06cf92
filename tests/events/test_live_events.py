"""Each live event, and each message to existing front ends, is documented with its keys."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from cnaasjobs.live import recent
from cnaasjobs.live.bulletin import Bulletin, Subscription
from cnaasjobs.live.connections import update_of
from devices.tasks import sync_devices
from jobs import feed, result_views
from jobs.feed import Kind, News
from jobs.feed.objects import job_objects
from jobs.models import Job, JobLog
from jobs.result_views import ResultView
from jobs.states import Status
from jobs.testing import perform_job
from tests import fake_jobs
from tests.devices.lab import Lab
from tests.factory import job_in

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).parents[2] / "docs/log-events.md").read_text()


def documented(heading: str) -> dict[str, set[str]]:
    table = PAGE.partition(f"| {heading} | keys | sent when |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = (row.split(" | ") for row in table.splitlines())
    return {name.strip("| `"): set(re.findall(r"`(\w+)`", keys)) for name, keys, _ in rows}


def as_sent(*news: News) -> dict[str, set[str]]:
    """By the event's name the keys of its data, as a reader of everything gets it."""
    texts = (Bulletin(one).written(Subscription(frozenset(Kind))).decode() for one in news)
    parts = (text for written in texts for text in written.split("\n\n") if text)
    events = [dict(line.split(": ", 1) for line in text.splitlines()) for text in parts]
    return {event["event"]: set(json.loads(event["data"])) for event in events}


def test_each_event_is_documented_with_its_keys() -> None:
    before = feed.position()
    job = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    JobLog.objects.create(job=job, lines=1, size=5, text=json.dumps([["", "INFO", "site", None, "hello"]]))
    everything = feed.look(before)
    assert as_sent(everything, News([], before), News(None, before)) == documented("event")


def updates(*jobs: Job) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for job in job_objects(jobs):
        update: dict[str, Any] = update_of(job) or {}
        found[f"job, {update['status']}{', next' if 'next_job_id' in update else ''}"] = set(update)
    return found


@pytest.mark.devices
def test_each_message_to_existing_front_ends_is_documented_with_its_keys(tmp_path: Path, settings: Settings) -> None:
    lab = Lab(tmp_path)
    settings.NORNIR_CONFIG, settings.CNAASJOBS_TEMPLATES = lab.config, lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state
    lab.add("sw1")
    sync = perform_job(sync_devices, all=True, dry_run=False)
    (told,) = recent.syncs([sync.pk])
    followed = job_in(Status.FINISHED)
    Job.objects.filter(pk=followed.pk).update(next_job_id=sync.pk)
    followed.refresh_from_db()
    sent = updates(job_in(Status.RUNNING), job_in(Status.EXCEPTION), sync, followed)
    assert {**sent, "sync": set(told)} == documented("message")
    assert set(told["syncevent_data"]) == {"cause", "by", "job_id"}


def test_an_apps_view_that_fails_keeps_nothing_else_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(ResultView):
        def changed_devices(self, job: Job) -> list[str]:
            raise KeyError("devices")

    class Knows(ResultView):
        def changed_devices(self, job: Job) -> list[str]:
            return ["sw1"]

    monkeypatch.setattr(result_views, "_views", {fake_jobs.with_lock.name: Fails(), fake_jobs.nothing.name: Knows()})
    ended = [job_in(Status.FINISHED, task=task).pk for task in (fake_jobs.with_lock, fake_jobs.nothing)]
    assert [told["syncevent_hostname"] for told in recent.syncs(ended)] == ["sw1"]
