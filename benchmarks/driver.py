"""What has to be timed in a process of the product's own, with its settings and log: ``python -m benchmarks.driver``.

Prints its figures as JSON.
"""

import json
import sys
import time
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


def main(command: str, *arguments: str) -> None:
    from cnaasjobs.celery import app

    django.setup()
    app.loader.import_default_modules()
    result: Any = {
        "one_by_one": lambda: one_by_one(int(arguments[0])),
        "many": lambda: many(int(arguments[0])),
    }[command]()
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
