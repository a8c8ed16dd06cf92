"""The jobs that are measured, registered in the benchmark's own process and in the product's workers."""

import os
import time
from typing import Any

from celery import signals

from jobs.task import JobContext, JobTask, job

DEVICES = [f"device{number:02}" for number in range(20)]
REPORT = "x" * 2000
LOCKS = 16  # enough that each is free again when its turn comes


@job
def noop(ctx: JobContext) -> dict[str, str]:
    return {"message": "done"}


@job
def noop_devices(ctx: JobContext) -> dict[str, str]:
    for device in DEVICES:
        ctx.device_finished(device)
    return {"message": "done"}


@job
def reports(ctx: JobContext, *, devices: int) -> dict[str, Any]:
    """As a job reported devices before each of them was a row."""
    hosts = [f"device{number:05}" for number in range(devices)]
    for host in hosts:
        ctx.device_finished(host)
    return {"devices": {host: {"name": host, "text": REPORT} for host in hosts}}


@job
def started_at(ctx: JobContext) -> dict[str, float]:
    """The moment in which the body started, by this machine's clock."""
    return {"started": time.time()}


@job(lock="handover")
def started_at_locked(ctx: JobContext) -> dict[str, float]:
    return {"started": time.time(), "ended": time.time()}


def _locked(number: int) -> JobTask:
    def noop_locked(ctx: JobContext) -> dict[str, str]:
        return {"message": "done"}

    return job(lock=f"lock{number:02}", name=f"benchmarks.bodies.noop_locked_{number:02}")(noop_locked)


locked_noops = [_locked(number) for number in range(LOCKS)]


@signals.task_prerun.connect
def _note_start(args: Any = (), **_: Any) -> None:
    """Connected after the product's receivers: what follows is the body. Only where a row asks for it."""
    if path := os.environ.get("BENCH_STARTS"):
        line = f"{args[0] if args else 0} {time.time()}\n".encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line)
        os.close(descriptor)
