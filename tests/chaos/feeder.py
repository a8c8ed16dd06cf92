"""A process that schedules jobs as an application would: ``schedule`` inside a transaction; accepted once it committed.

Runs in the fleet's copy of the source: ``python -m tests.chaos.feeder <directory> <start, wall clock>``. A file in
``requests/`` asks for more.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django
from django.db import DatabaseError, InterfaceError, connection, transaction

from tests.chaos.plan import BURST, LASTING, LASTING_SECONDS, PlannedJob, lasting_arguments

_RETRY_SECONDS = 0.5


def main() -> None:
    directory, start = Path(sys.argv[1]), float(sys.argv[2])
    django.setup()
    feeder = Feeder(directory)
    planned = [PlannedJob(**entry) for entry in json.loads((directory / "jobs.json").read_text())]
    for job in planned:
        while (left := start + job.at - time.time()) > 0:
            feeder.serve_requests()
            time.sleep(min(left, 0.02))
        feeder.feed(job)
    feeder.say("done")
    while True:  # until the run ends it
        feeder.serve_requests()
        time.sleep(0.02)


class Feeder:
    def __init__(self, directory: Path) -> None:
        from tests.chaos.bodies import TASKS

        self._tasks = TASKS
        self._requests = directory / "requests"
        self._out = os.open(directory / "accepted.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def say(self, what: str, **fields: Any) -> None:
        os.write(self._out, (json.dumps({"what": what, "at": time.time(), **fields}) + "\n").encode())

    def feed(self, planned: PlannedJob) -> None:
        def insert() -> list[int]:
            from jobs.dispatch import scheduling

            at = datetime.now(UTC) + timedelta(seconds=planned.delay) if planned.delay else None
            return [scheduling.schedule(self._tasks[planned.kind], planned.arguments, at=at).pk]

        self._accept(planned.kind, insert, abort=planned.abort)

    def serve_requests(self) -> None:
        """What a fault asked for: a burst of short jobs that fill a queue, or one of a kind that lasts."""
        for request in self._requests.iterdir():
            kind = request.name.partition("-")[0]
            request.unlink()
            many: list[dict[str, Any]] = [{"seconds": 0.1}] * BURST
            if kind in LASTING:
                many = [lasting_arguments(kind, LASTING_SECONDS)]

            def insert(kind: str = kind, many: list[dict[str, Any]] = many) -> list[int]:
                from jobs.dispatch import scheduling

                return [job.pk for job in scheduling.schedule_many(self._tasks[kind], many)]

            self._accept(kind, insert, abort=False)

    def _accept(self, kind: str, insert: Callable[[], list[int]], *, abort: bool) -> None:
        """Until the database took it. A commit whose answer was lost accepted nothing; its rows may be there."""
        while True:
            try:
                with transaction.atomic():
                    ids = insert()
            except (DatabaseError, InterfaceError) as exc:
                connection.close()
                self.say("refused", kind=kind, why=str(exc)[:200])
                time.sleep(_RETRY_SECONDS)
                continue
            for job in ids:
                self.say("accepted", job=job, kind=kind, abort=abort)
            return


def plan_file(jobs: list[PlannedJob]) -> str:
    return json.dumps([asdict(job) for job in jobs])


if __name__ == "__main__":
    main()
