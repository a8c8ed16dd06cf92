"""Jobs that go through devices by ``ctx.each``. A device is "name", or "name=what happens to it"."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.task import DeviceFailed, DeviceResult, JobContext, JobResult, job


def _name(device: str) -> str:
    return device.partition("=")[0]


def act(device: str) -> Any:
    """What a device does is in its name."""
    _, _, what = device.partition("=")
    match what.partition(":"):
        case "fails", _, _:
            raise DeviceFailed("it said no", report={"said": "no"}, change_score=7)
        case "breaks", _, _:
            raise RuntimeError("it broke")
        case "exits", _, _:
            sys.exit(3)
        case "bytes", _, _:
            return b"no JSON"
        case "score", _, score:
            return DeviceResult(
                report={"score": int(score)}, change_score=int(score), changed=True, memo={"seen": device}
            )
        case "big", _, size:
            return "x" * int(size)
        case "naps", _, seconds:
            time.sleep(float(seconds))
        case "hangs", _, _:
            threading.Event().wait()
        case "kills", _, _:
            os.kill(os.getpid(), signal.SIGKILL)
    return {"name": device}


class Odd:
    """An object that can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("never")

    __repr__ = __str__


ODD: dict[str, Any] = {
    "an exception for a reason": DeviceFailed(TimeoutError("no answer")),  # type: ignore[arg-type]
    "a number for a reason": DeviceFailed(404),  # type: ignore[arg-type]
    "an odd object for a reason": DeviceFailed(Odd()),  # type: ignore[arg-type]
    "failed is true": DeviceResult(report="r", failed=True),  # type: ignore[arg-type]
    "failed is odd": DeviceResult(report="r", failed=Odd()),  # type: ignore[arg-type]
    "changed is text": DeviceResult(report="r", changed="maybe"),  # type: ignore[arg-type]
    "an odd report": Odd(),
    "an odd memo": DeviceResult(report="r", memo={"x": Odd()}),
    "an odd key": {Odd(): 1},
    "text that is not Unicode": DeviceFailed("\ud800\x00"),
    "an odd score": DeviceResult(report="r", change_score=Odd()),  # type: ignore[arg-type]
}


@job
def each_odd(ctx: JobContext) -> None:
    def step(device: str) -> Any:
        found = ODD.get(device, {"name": device})
        if isinstance(found, DeviceFailed):
            raise found
        return found

    ctx.each([*ODD, "sw1"], step, at_once=2)


@job
def each_says_odd_steps(ctx: JobContext) -> None:
    def step(device: str) -> str:
        ctx.about_to("reload \x00" + "x" * 100, if_lost="\ud800\x00" + "y" * 2000)
        return device

    ctx.each(["sw1", "sw2"], step)


@job(lock="devices")
def each(ctx: JobContext, *, hosts: list[str], at_once: int = 4, dry_run: bool = True) -> JobResult:
    done = ctx.each(hosts, act, at_once=at_once)
    return JobResult(change_score=done.max_score)


@job(lock="devices", helpers=4)
def each_helped(ctx: JobContext, *, hosts: list[str], dry_run: bool = True) -> None:
    ctx.each(hosts, act, at_once=4)


@job(lock="devices")
def each_hung(ctx: JobContext, *, hosts: list[str]) -> None:
    ctx.each(hosts, act, at_once=2, seconds=0.2, hung=lambda device, at: f"{device} hangs in {at}")


@job
def each_with_result(ctx: JobContext, *, hosts: list[str]) -> str:
    done = ctx.each(hosts, act)
    return f"{done.devices} devices, {done.failed} failed"


@job
def each_twice(ctx: JobContext, *, hosts: list[str]) -> None:
    ctx.each(hosts, act)
    ctx.each(hosts, act)


@job(lock="devices", helpers=4)
def each_until_file(
    ctx: JobContext, *, hosts: list[str], path: str, at_once: int = 2, dry_run: bool = False, seconds: float = 0
) -> None:
    """Each device lasts until the file is there, and then so many seconds. Its log has a line for each begin and end:
    the device, the process, B or E.
    """

    def last(device: str) -> str:
        _note(path, f"{device} {os.getpid()} B")
        ctx.about_to("commit", if_lost="it reverts by itself")
        while not Path(path).exists() and not ctx.next_stop(0.02):
            pass
        ctx.next_stop(seconds)
        _note(path, f"{device} {os.getpid()} E")
        return device

    ctx.each(hosts, last, at_once=at_once)
    _note(path, f"after {os.getpid()} A")


@job(lock="devices", helpers=4)
def each_read_first(ctx: JobContext, *, hosts: list[str], path: str, dry_run: bool = False) -> None:
    """Each device is read for a moment, then changed, where this is no dry run. While one process has the job alone it
    takes devices ahead. While there is a file ``.hold`` none is over. The log has a line for each device, its
    participant, and what happened: B it was begun, C it was changed, E it was let go of.
    """

    participant = ctx._run.run_token.int

    def quick(device: str) -> str:
        _note(path, f"{device} {participant} B")
        try:
            ctx.next_stop(0.15)
            while Path(f"{path}.hold").exists() and not ctx.next_stop(0.02):
                pass
            if not dry_run:
                ctx.about_to("commit", if_lost="it reverts by itself")
                _note(path, f"{device} {participant} C")
        finally:
            _note(path, f"{device} {participant} E")
        return device

    ctx.each(hosts, quick, at_once=4, reads_first=True)


@job(lock="devices")
def each_expected(ctx: JobContext, *, hosts: list[str], path: str, breaks: bool = False) -> None:
    """Notes the devices that are expected, before they begin, and those that have begun."""

    def beforehand(devices: Sequence[str]) -> None:
        _note(path, f"expect {' '.join(devices)}")
        if breaks:
            raise RuntimeError("not today")

    def step(device: str) -> str:
        _note(path, f"begin {device}")
        return device

    ctx.each(hosts, step, at_once=3, beforehand=beforehand, reads_first=True)


@job(lock="devices")
def each_at_the_same_moment(ctx: JobContext, *, hosts: list[str]) -> None:
    """All devices come to the step that changes them at once."""
    together = threading.Barrier(len(hosts))

    def step(device: str) -> str:
        together.wait(30)
        ctx.about_to("commit")
        together.wait(30)
        return device

    ctx.each(hosts, step, at_once=len(hosts), reads_first=True)


def _note(path: str, line: str) -> None:
    with Path(f"{path}.log").open("a") as log:
        log.write(f"{line}\n")


@job(lock="devices", helpers=4, soft_time_limit=2, time_limit=30)
def each_limited(ctx: JobContext, *, hosts: list[str], path: str) -> None:
    """Longer than its soft limit: each device ends when the job is told to stop."""

    def last(device: str) -> None:
        _note(path, f"{device} {os.getpid()} B")
        ctx.next_stop(60)
        _note(path, f"{device} {os.getpid()} E")
        ctx.checkpoint()

    ctx.each(hosts, last, at_once=2)


@job(lock="devices", helpers=4)
def all_or_none(ctx: JobContext, *, hosts: list[str], reads_first: bool = False) -> None:
    """Three steps; a device "x=prepare" fails in that step. What is called is in the report."""
    called: dict[str, list[str]] = {host: [] for host in hosts}

    def step(name: str) -> Any:
        def work(device: str) -> Any:
            called[device].append(name)
            if device.partition("=")[2] == name:
                raise DeviceFailed(f"no {name}")
            if device.partition("=")[2] == "nothing to do":
                return called[device]
            return called[device] if name == "confirm" else None

        work.__name__ = name
        return work

    def back(device: str, why: str) -> DeviceResult:
        return DeviceResult(report=[*called[device], "back"], failed=why)

    steps = [step(name) for name in ("prepare", "commit", "confirm")]
    ctx.each(hosts, *steps, all_or_none=True, reads_first=reads_first, back=back)
