"""Devices that are selected by an earlier sync: those that it left undone, or those that its dry run showed."""

import json
from collections.abc import Sequence
from typing import Any

from nornir.core.inventory import Inventory

from cnaasjobs.api.times import time_text
from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from devices.selection import SelectionError, Selector, few
from devices.tasks import selector_of, sync_devices
from jobs.errors import JobNotFound
from jobs.models import Job, JobDevice, JobOutcome
from jobs.states import TERMINAL, JobDeviceState, Status


def left_undone(job_id: int, inventory: Inventory) -> Selector:
    """The devices of a sync that failed, were lost, or were never begun, however it ended.

    Raises:
        SelectionError: there is no such sync, it has not ended, it left none, one is no longer in the inventory, or it
            was for devices that can't be selected any more.
    """
    job = _sync(job_id)
    if job.status not in TERMINAL:
        raise SelectionError(f"Job {job_id} is {job.status}: failed_of takes a job that has ended")
    hosts = _undone_rows(job) if JobDevice.objects.filter(job=job).exists() else _undone_without_rows(job, inventory)
    if not hosts:
        raise SelectionError(f"Job {job_id} left no device undone")
    _require_known(job_id, hosts, inventory)
    return Selector(hostnames=tuple(hosts), words=f"what job {job_id} left undone: {few(hosts)}")


def planned(job_id: int, inventory: Inventory) -> Selector:
    """The devices of a dry run, each to be changed as it showed.

    Raises:
        SelectionError: there is no such dry run, it did not finish, it is too old, it had no devices, or one is no
            longer in the inventory.
    """
    hosts = _shown(job_id)
    _require_known(job_id, hosts, inventory)
    return Selector(hostnames=tuple(hosts), words=f"what job {job_id} showed of {few(hosts)}", plan=job_id)


def require_there(selector: Selector, inventory: Inventory) -> None:
    """Make sure that a sync of this selection, which was made earlier, can begin now.

    Raises:
        SelectionError: one of its devices, or its group, is no longer in the inventory, or its plan can't be carried
            out any more.
    """
    hosts = [host.name for host in selector.hosts(inventory)]
    if selector.plan is None:
        return
    try:
        shown = set(_shown(selector.plan))
    except SelectionError as exc:
        raise SelectionError(f"Its plan can't be carried out any more, make a new dry run. {exc}") from exc
    if missing := [host for host in hosts if host not in shown]:
        raise SelectionError(f"Its plan, job {selector.plan}, showed nothing of {few(missing)}")


def _shown(job_id: int) -> list[str]:
    """The devices of a dry run that can be a plan. Raises SelectionError."""
    job = _sync(job_id)
    if json.loads(job.start_arguments).get("dry_run") is not True:
        raise SelectionError(f"Job {job_id} is not a dry run: only a dry run can be a plan")
    if job.status != Status.FINISHED or job.finish_time is None:
        raise SelectionError(f"Job {job_id} is {job.status}: only a dry run that is FINISHED can be a plan")
    if (database_now() - job.finish_time).total_seconds() > conf.plan_max_age_seconds:
        limit = f"{conf.plan_max_age_seconds} seconds (CNAASJOBS_PLAN_MAX_AGE_SECONDS)"
        raise SelectionError(
            f"Job {job_id} is too old for a plan: it finished {time_text(job.finish_time)}, more than {limit} ago"
        )
    hosts = list(JobDevice.objects.filter(job=job).order_by("place").values_list("host", flat=True))
    if not hosts:
        raise SelectionError(
            f"Job {job_id} stored nothing of what it showed: it had no devices, or an older version ran it"
        )
    return hosts


def _sync(job_id: int) -> Job:
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise SelectionError(str(JobNotFound(job_id)))
    if job.task_name != sync_devices.name:
        raise SelectionError(f"Job {job_id} ({job.function_name}) is not a sync of devices")
    return job


def _require_known(job_id: int, hosts: Sequence[str], inventory: Inventory) -> None:
    if gone := [host for host in hosts if host not in inventory.hosts]:
        words = f"Devices of job {job_id} are no longer in the inventory: {few(gone)}"
        raise SelectionError(f"{words}. Select the others by hostnames")


def _undone_rows(job: Job) -> list[str]:
    rows = JobDevice.objects.filter(job=job).order_by("place").values_list("host", "state", "failed")
    return [host for host, state, failed in rows if failed or state != JobDeviceState.DONE]


def _undone_without_rows(job: Job, inventory: Inventory) -> list[str]:
    """For a sync that ended before it reached its devices, or that a worker of a version without device rows ran."""
    result = JobOutcome.objects.filter(job=job).values_list("result", flat=True).first()
    devices: dict[str, Any] = json.loads(result)["devices"] if result else {}
    if job.status == Status.FINISHED:
        return [host for host, report in devices.items() if report["failed"]]
    done = {host for host, report in devices.items() if not report["failed"]}
    selector = selector_of(json.loads(job.start_arguments))
    hosts = selector.hostnames or [host.name for host in selector.hosts(inventory)]
    return [host for host in hosts if host not in done]
