"""What must be timed in one of the product's own processes, with its settings and log: ``python -m benchmarks.driver``.

Prints its figures as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import django


def one_by_one(count: int) -> dict[str, float]:
    """Jobs scheduled one after the other, each its own commit and confirmed message."""
    from benchmarks.bodies import noop

    noop.schedule()  # connections are open from here on
    begun = time.perf_counter()
    for _ in range(count):
        noop.schedule()
    return {"seconds": time.perf_counter() - begun}


def fill(kind: str, count: int) -> None:
    """Queued jobs, for a worker to execute."""
    from benchmarks import bodies

    if kind == "locked":  # the locks in turn, so that each is free again when its next job comes
        for number in range(count):
            bodies.locked_noops[number % bodies.LOCKS].schedule()
    else:
        body = {"noop": bodies.noop, "devices": bodies.noop_devices}[kind]
        body.schedule_many([{}] * count)


def many(count: int) -> dict[str, float]:
    from django.db import transaction

    from benchmarks.bodies import noop

    noop.schedule()
    committed: list[float] = []
    begun = time.perf_counter()
    with transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.perf_counter()))  # before the messages are sent
        noop.schedule_many([{}] * count)
    return {"committed": committed[0] - begun, "confirmed": time.perf_counter() - begun}


def reports(devices: int, count: int) -> None:
    """Queued jobs with so many devices each. Another commit may not know ``ctx.each``."""
    room = "fleet_bodies" if find_spec("benchmarks.fleet_bodies") else "bodies"
    import_module(f"benchmarks.{room}").reports.schedule_many([{"devices": devices}] * count)


def sync(kind: str) -> None:
    """One sync of all devices."""
    from devices.tasks import sync_devices

    sync_devices.schedule(all=True, dry_run=kind == "dry")


def main(command: str, *arguments: str) -> None:
    from cnaasjobs.celery import app

    django.setup()
    app.loader.import_default_modules()
    commands: dict[str, Callable[[], Any]] = {
        "one_by_one": lambda: one_by_one(int(arguments[0])),
        "many": lambda: many(int(arguments[0])),
        "sync": lambda: sync(arguments[0]),
        "reports": lambda: reports(int(arguments[0]), int(arguments[1])),
        "fill": lambda: fill(arguments[0], int(arguments[1])),
    }
    print(json.dumps(commands[command]()))


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # else it keeps a core busy for 0.1 s: the job that it posted is running by then, and would be slower
