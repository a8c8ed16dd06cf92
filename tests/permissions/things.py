"""What the path and body of a row refer to: jobs, a lock, and an object of each model of the admin."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import Group, User
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule
from django_celery_results.models import GroupResult, TaskResult
from knox.models import AuthToken

from devices.tasks import sync_devices
from jobs.models import AuditEntry, GroupScope, Job
from locks.models import Lock
from tests.factory import NOON, every, heartbeat, hold_lock, job_row
from tests.permissions.rows import Row
from tests.permissions.who import GROUPS, INSIDE, OUTSIDE, SCOPED

_INSIDE = json.dumps({"hostnames": [INSIDE], "dry_run": True})
LATER = NOON.replace(year=2099)


def job_of(host: str, status: str = "SCHEDULED") -> Job:
    arguments = json.dumps(sync_devices.bound({"hostnames": [host]}))
    return job_row(status, task_name=sync_devices.name, start_arguments=arguments, scheduled_time=LATER)


def make_things() -> dict[str, Any]:
    inside, outside = job_of(INSIDE), job_of(OUTSIDE)
    return {
        "job_id": inside.pk,
        "job_inside": inside.pk,
        "job_outside": outside.pk,
        "done_outside": job_of(OUTSIDE, "FINISHED").pk,
        "lock": hold_lock("devices", inside).pk,
        "hostname": INSIDE,
        "host": INSIDE,
        "group": "building1",
        "name": "settings",
        "kind": "again",
        "schedule_id": every(86_400, name="of one device", task=sync_devices.name, kwargs=_INSIDE).pk,
        "id": User.objects.create_user("somebody").pk,
    }


def make_rows(things: Mapping[str, Any]) -> dict[str, Any]:
    """The key of a row of each model that the admin has, by its place there."""
    somebody = User.objects.get(pk=things["id"])
    entry = AuditEntry.objects.create(time=NOON, who="ann", origin="here", action="made", detail="")
    rows: dict[Any, Any] = {
        Job: things["job_id"],
        AuditEntry: entry.pk,
        GroupScope: Group.objects.get(name=GROUPS[SCOPED]).pk,
        Lock: things["lock"],
    }
    others: list[Any] = [
        heartbeat(),
        every(3600),
        CrontabSchedule.objects.create(minute="7"),
        IntervalSchedule.objects.create(every=7, period="hours"),
        ClockedSchedule.objects.create(clocked_time=NOON),
        SolarSchedule.objects.create(event="sunrise", latitude=59, longitude=18),
        TaskResult.objects.create(task_id="one"),
        GroupResult.objects.create(group_id="one"),
        AuthToken.objects.create(somebody)[0],
        somebody,
        Group.objects.create(name="of nobody"),
    ]
    rows |= {type(each): each.pk for each in others}
    return {model._meta.label_lower.replace(".", "/"): key for model, key in rows.items()}


def path_of(row: Row, things: Mapping[str, Any]) -> str:
    return "/" + (row.path or row.route).format_map({"url": "nothing", **things})


def body_of(row: Row, things: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.format_map(things) if isinstance(value, str) else value for name, value in (row.body or {}).items()
    }
