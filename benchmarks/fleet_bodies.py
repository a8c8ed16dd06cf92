"""Jobs that go through devices. Not in ``bodies``, which other commits run too: those may not have ``ctx.each``."""

import logging
import time
from typing import Any

from benchmarks.bodies import REPORT
from jobs.task import JobContext, job

_REPORT = "x" * 10_000


@job(helpers=8)
def ten_kilobytes(ctx: JobContext, *, devices: int) -> None:
    """Each device takes 50 ms, and has a report of 10 KB."""

    def work(device: str) -> dict[str, Any]:
        time.sleep(0.05)
        return {"name": device, "text": _REPORT}

    ctx.each([f"device{number:05}" for number in range(devices)], work, at_once=25)


@job
def talkative(ctx: JobContext, *, devices: int, lines: int) -> None:
    """Each device takes 50 ms, and logs so many lines."""
    log = logging.getLogger("site.driver")

    def work(device: str) -> dict[str, Any]:
        for number in range(lines):
            log.info("%s: interface Ethernet%d is up, speed 10000, mtu 9214", device, number)
        time.sleep(0.05)
        return {"name": device}

    ctx.each([f"device{number:05}" for number in range(devices)], work, at_once=50)


@job
def reports(ctx: JobContext, *, devices: int) -> None:
    """The same result as that of ``bodies.reports``."""
    ctx.each([f"device{number:05}" for number in range(devices)], lambda host: {"name": host, "text": REPORT})
