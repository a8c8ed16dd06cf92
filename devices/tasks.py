"""The job of this app, where Celery finds it."""

from collections.abc import Mapping
from typing import Any, Literal

from cnaasjobs.conf import conf
from devices import inventory
from devices.selection import Selector
from devices.sync.report import DeviceReport
from jobs.task import JobContext, JobResult, NextJob, job

AUTO_PUSH_SCORES = range(1, 10)


def selector_of(arguments: Mapping[str, Any]) -> Selector:
    """Which devices a sync of these arguments is for."""
    hostnames = arguments["hostnames"]
    return Selector(
        hostnames=None if hostnames is None else tuple(hostnames),
        **{name: arguments[name] for name in ("device_type", "group", "all")},
    )


def _one_selection(**arguments: Any) -> None:
    selector_of(arguments)


@job(
    lock="devices",
    check=_one_selection,
    soft_time_limit=conf.sync_time_limit_seconds,
    # What the current devices may need after that: for their current step, and to take their commits back.
    time_limit=conf.sync_time_limit_seconds + 3 * conf.device_seconds,
)
def sync_devices(
    ctx: JobContext,
    *,
    hostnames: list[str] | None = None,
    device_type: str | None = None,
    group: str | None = None,
    all: bool = False,
    dry_run: bool = True,
    force: bool = False,
    resync: bool = False,
    auto_push: bool = False,
    confirm_mode: Literal[0, 1, 2] | None = None,
) -> JobResult:
    """Bring devices to the configuration that their templates produce, or show what that would change.

    Args:
        hostnames, device_type, group, all: exactly one says which devices; the inventory is asked when the job starts.
        dry_run: only compare.
        force: overwrite what was changed outside since our last commit.
        resync: push also to devices that are in sync.
        auto_push: after a dry run of one host with a small change, schedule the live run.
        confirm_mode: 0, 1 or 2; ``CNAASJOBS_CONFIRM_MODE`` unless given.

    Raises:
        InventoryError, SelectionError: there is nothing that could be synchronised.
    """
    from devices.sync.campaign import Push  # NAPALM is large, and web servers and Beat import this module too
    from devices.sync.one_device import Options

    mode: int = conf.confirm_mode if confirm_mode is None else confirm_mode
    selector = selector_of({"hostnames": hostnames, "device_type": device_type, "group": group, "all": all})
    nornir = inventory.nornir()
    hosts = selector.hosts(nornir.inventory)
    options = Options(
        dry_run=dry_run,
        force=force,
        resync=resync,
        confirm_mode=mode,
        revert_in=conf.confirm_minutes * 60,
    )
    push = Push(ctx, nornir, hosts, options)
    ctx.keep(lambda end: _result(push.reports_until(end)))
    push.run()
    reports = push.reports
    score = max((report.change_score for report in reports.values()), default=0)
    failed = any(report.failed for report in reports.values())
    pushes = auto_push and dry_run and len(reports) == 1 and not failed and score in AUTO_PUSH_SCORES
    return JobResult(
        _result(reports),
        change_score=score,
        next_job=_live(ctx, hosts[0].name, force=force, resync=resync, confirm_mode=mode) if pushes else None,
    )


def _result(reports: Mapping[str, DeviceReport]) -> dict[str, Any]:
    return {"devices": {name: report.as_result() for name, report in reports.items()}}


def _live(ctx: JobContext, hostname: str, **options: Any) -> NextJob:
    return NextJob(
        task=sync_devices,
        kwargs={"hostnames": [hostname], "dry_run": False, **options},
        scheduled_by=ctx.scheduled_by,
        comment=ctx.comment,
        ticket_ref=ctx.ticket_ref,
    )
