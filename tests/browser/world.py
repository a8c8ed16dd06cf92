"""Rows for a day at a site: something of everything that a page may have to show, including long and hostile text."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django_celery_beat.models import PeriodicTask

from cnaasjobs.db.clock import database_now
from devices.tasks import sync_devices
from jobs.models import AuditEntry, Job, JobApproval, JobLog, JobMilestone, Participant
from tests.factory import daily, device_row, every, heartbeat, hold_lock, job_row

HOSTILE: Final = "<script>alert(1)</script>\"'&{{ 7*7 }}\u202egnp"
LONG: Final = "a_name_without_a_place_to_break_it_" * 6
DIFF: Final = (
    "@@ -1,6 +1,8 @@\n hostname eosdist1\n ip domain-name lab.example\n-vlan 600\n-   name closet\n+vlan 600\n"
    "+   name closet-2\n+   description " + "x" * 300 + "\n interface Ethernet1\n"
)


@dataclass(frozen=True)
class World:
    """Ids that pages are opened by."""

    dry_run: Job
    live: Job
    running: Job
    waiting: Job
    later: Job
    aborted: Job
    lost: Job
    unapproved: Job
    schedule: PeriodicTask
    host: str = "eosdist1"
    lock: str = "devices"


def built() -> World:
    now = database_now()
    heartbeat("celery@w1", queues='["default", "night"]', concurrency=4)
    heartbeat("beat", kind="beat", queues="[]")
    dry_run = _dry_run(now - timedelta(hours=3))
    live = _sync("FINISHED", now - timedelta(hours=2), dry_run=False, change_score=24, previous=dry_run)
    running = _running(now - timedelta(minutes=4))
    waiting = _sync("SCHEDULED", now - timedelta(minutes=2), dry_run=True)
    JobMilestone.objects.create(job=waiting, milestone="parked", time=now - timedelta(minutes=2), detail="devices")
    later = _sync("SCHEDULED", now + timedelta(hours=5), dry_run=False, comment="change window", ticket_ref="NOC-4711")
    aborted = job_row("EXCEPTION", **_times(now - timedelta(hours=5)), exception_type="JobAborted", scheduled_by="ann")
    lost = job_row("EXCEPTION", **_times(now - timedelta(hours=9)), exception_type="WorkerLost", worker="celery@gone")
    job_row("EXCEPTION", **_times(now - timedelta(hours=11)), function_name=LONG[:100], scheduled_by=LONG[:100])
    for number in range(3):
        AuditEntry.objects.create(
            time=now, who=("ann", HOSTILE, LONG)[number], origin="10.0.0.1", action="scheduled", job_id=live.pk
        )
    every(3600, name=HOSTILE[:60], task=sync_devices.name, kwargs='{"all": true}', description=LONG)
    schedule = daily(2, name="night", task=sync_devices.name, kwargs='{"all": true, "dry_run": true}')
    return World(dry_run, live, running, waiting, later, aborted, lost, _unapproved(now), schedule)


def _times(start: datetime, *, seconds: int = 40) -> dict[str, Any]:
    return {"scheduled_time": start, "start_time": start, "finish_time": start + timedelta(seconds=seconds)}


def _sync(
    status: str, start: datetime, *, dry_run: bool, previous: Job | None = None, hosts: int = 3, **fields: Any
) -> Job:
    times = _times(start)
    if status in ("SCHEDULED", "RUNNING"):
        del times["finish_time"]
    if status == "SCHEDULED":
        del times["start_time"]
    chosen = {"hostnames": [f"eosdist{n + 1}" for n in range(hosts)], "device_type": None, "group": None, "all": False}
    options = {"force": False, "resync": False, "auto_push": False, "confirm_mode": 1}
    arguments = {**chosen, "dry_run": dry_run, **options}
    values = {
        "task_name": sync_devices.name,
        "function_name": "sync_devices",
        "lock_name": "devices",
        "scheduled_by": "ann",
        "start_arguments": json.dumps(arguments),
    }
    job = job_row(status, **(values | times | fields))
    if previous is not None:
        Job.objects.filter(pk=previous.pk).update(next_job_id=job.pk)
    return job


def _dry_run(start: datetime) -> Job:
    job = _sync("FINISHED", start, dry_run=True, hosts=2, change_score=24, comment=HOSTILE, ticket_ref="NOC-4711")
    _done(job, "eosdist1", diff=DIFF, change_score=24)
    _done(job, "eosdist2", diff="")
    reason = f"ConnectionException: no route to {HOSTILE} {LONG}"
    device_row(job, HOSTILE[:60], reason=reason, report=_report(result=reason, failed=True))
    for host in ("eosdist8", "eosdist9"):  # which have it in common
        device_row(job, host, reason=f"cannot connect: {LONG}", report=_report(failed=True))
    lines = [
        [(start + timedelta(seconds=n)).isoformat(), "INFO", "devices.sync", "eosdist1", HOSTILE] for n in range(3)
    ]
    lines.append([start.isoformat(), "ERROR", "devices.sync", HOSTILE[:60], LONG])
    JobLog.objects.create(job=job, lines=len(lines), size=500, text=json.dumps(lines))
    return job


def _unapproved(now: datetime) -> Job:
    job = _sync("SCHEDULED", now - timedelta(minutes=5), dry_run=False, parked=True, unapproved=True)
    end = now + timedelta(hours=12)
    JobApproval.objects.create(job=job, why=f"no dry run has shown it {HOSTILE}", asked_at=now, expires_at=end)
    return job


def _running(start: datetime) -> Job:
    job = _sync("RUNNING", start, dry_run=False, worker="celery@w1", hosts=4)
    Participant.objects.create(job=job, token=job.run_token or uuid4(), worker="celery@w1", joined_at=start)
    _done(job, "eosdist1", diff=DIFF, change_score=24)
    device_row(job, "eosdist2", reason="AuthenticationException: refused")
    device_row(job, "eosdist3", "TAKEN")
    device_row(job, "eosdist4", "WAITING")
    hold_lock("devices", job, start_time=start)
    return job


def _done(job: Job, host: str, *, diff: str, change_score: int = 0) -> None:
    device_row(job, host, report=_report(diff=diff), change_score=change_score, changed=bool(diff))


def _report(*, diff: str = "", result: str | None = None, failed: bool = False) -> str:
    generated = {
        "diff": "",
        "failed": False,
        "result": f"hostname eosdist1\n! {HOSTILE}\n",
        "task_name": "push_sync_device",
    }
    sync = {"diff": diff, "failed": failed, "result": result, "task_name": "Sync device config"}
    return json.dumps({"failed": failed, "job_tasks": [generated, sync]})
