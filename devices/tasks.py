"""The job of this app, where Celery finds it."""

import inspect
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, Unpack

from cnaasjobs.conf import conf
from devices import inventory
from devices.approval import why_needed
from devices.selection import Selector
from jobs.task import JobContext, JobResult, NextJob, job

AUTO_PUSH_SCORES = range(1, 10)


class OnlyIfAsked(TypedDict, total=False):
    """Arguments that a job gets only if it needs them. A worker of an older version that does not know one of them
    refuses the jobs that have it, and runs all others.
    """

    plan: int


def selector_of(arguments: Mapping[str, Any]) -> Selector:
    """Which devices a sync of these arguments is for."""
    hostnames = arguments["hostnames"]
    return Selector(
        hostnames=None if hostnames is None else tuple(hostnames),
        plan=arguments.get("plan"),
        **{name: arguments[name] for name in ("device_type", "group", "all")},
    )


def _check(**arguments: Any) -> None:
    known = inspect.signature(sync_devices.run).parameters.keys() | OnlyIfAsked.__annotations__.keys()
    if unknown := sorted(arguments.keys() - known):
        raise ValueError(f"no such argument: {', '.join(unknown)}")
    plan = selector_of(arguments).plan
    if plan is not None and (type(plan) is not int or plan < 1):
        raise ValueError(f"plan {plan!r} is not the id of a job")
    if plan is not None and arguments["dry_run"]:
        raise ValueError("a plan is applied live: dry_run must be false")


@job(
    lock="devices",
    check=_check,
    approval=why_needed,
    helpers=conf.sync_helpers,
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
    **more: Unpack[OnlyIfAsked],
) -> JobResult:
    """Bring devices to the configuration that their templates produce, or show what that would change.

    Args:
        hostnames, device_type, group, all: exactly one says which devices; the inventory is asked when the job starts.
        dry_run: only compare.
        force: overwrite what was changed outside since our last commit.
        resync: push also to devices that are in sync.
        auto_push: after a dry run of one host with a small change, schedule the live run.
        confirm_mode: 0, 1 or 2; ``CNAASJOBS_CONFIRM_MODE`` unless given.
        more: ``plan``, the id of a dry run of these hostnames: change nothing else than it showed.

    Raises:
        InventoryError, SelectionError, PlanGone: there is nothing that could be synchronised.
    """
    from devices.sync.campaign import Campaign  # NAPALM is large, and web servers and Beat import this module too
    from devices.sync.one_device import Options
    from devices.sync.plan import Plan

    mode: int = conf.confirm_mode if confirm_mode is None else confirm_mode
    selector = selector_of({"hostnames": hostnames, "device_type": device_type, "group": group, "all": all})
    nornir = inventory.nornir()
    hosts = selector.hosts(nornir.inventory)
    plan = more.get("plan")
    options = Options(
        dry_run=dry_run,
        force=force,
        resync=resync,
        confirm_mode=mode,
        revert_in=conf.confirm_minutes * 60,
        plan=None if plan is None else Plan.of(plan, [host.name for host in hosts]),
    )
    done = Campaign(ctx, nornir, hosts, options).run()
    pushes = auto_push and dry_run and done.devices == 1 and not done.failed and done.max_score in AUTO_PUSH_SCORES
    return JobResult(
        change_score=done.max_score,
        next_job=_live(ctx, hosts[0].name, force=force, resync=resync, confirm_mode=mode) if pushes else None,
    )


def _live(ctx: JobContext, hostname: str, **options: Any) -> NextJob:
    # If the score decides whether a second person is asked, the live run must be what was scored.
    plan = {} if conf.approval_score is None else {"plan": ctx.job_id}
    return NextJob(
        task=sync_devices,
        kwargs={"hostnames": [hostname], "dry_run": False, **options, **plan},
        scheduled_by=ctx.scheduled_by,
        comment=ctx.comment,
        ticket_ref=ctx.ticket_ref,
    )
