"""The Celery application, and ``python -m benchmarks.baselines.django_db.app`` with a command of ``main``."""

import json
import os
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.baselines.django_db.settings")

from celery import Celery

app = Celery("django_db")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task
def noop() -> dict[str, str]:
    return {"message": "done"}


@app.task
def started_at(due: float) -> dict[str, float]:
    return {"due": due, "started": time.time()}


def clocked(due: list[float]) -> list[float]:
    """One ClockedSchedule row for each time; how many seconds late each task started."""
    from datetime import UTC, datetime

    from django.db import transaction
    from django_celery_beat.models import ClockedSchedule, PeriodicTask

    from benchmarks.baselines.django_db.app import started_at

    with transaction.atomic():  # Beat reads its table anew once, not for each row
        for each in due:
            when = ClockedSchedule.objects.create(clocked_time=datetime.fromtimestamp(each, UTC))
            PeriodicTask.objects.create(
                name=f"due {each}", task=started_at.name, clocked=when, one_off=True, args=json.dumps([each])
            )
    return _results(due)


def _results(due: list[float]) -> list[float]:
    from django_celery_results.models import TaskResult

    deadline = time.monotonic() + 120
    while True:
        found = [
            json.loads(text) for text in TaskResult.objects.filter(status="SUCCESS").values_list("result", flat=True)
        ]
        late = {result["due"]: result["started"] - result["due"] for result in found if "due" in (result or {})}
        if all(each in late for each in due):
            return [late[each] for each in due]
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(late)} of {len(due)} tasks ran")
        time.sleep(0.1)


def lone(count: int) -> list[float]:
    """One at a time, 1 s and 0.2 s ahead."""
    return [clocked([time.time() + ahead])[0] for _ in range(count) for ahead in (1.0, 0.2)]


def main(command: str, argument: str = "") -> None:
    import django
    from django.core.management import call_command

    from benchmarks.baselines.django_db import app as module

    django.setup()
    if command == "migrate":
        call_command("migrate", verbosity=0, interactive=False)
    elif command == "fill":
        with module.app.producer_pool.acquire(block=True) as producer:
            for _ in range(int(argument)):
                module.noop.apply_async(producer=producer)
    elif command == "clocked":
        print(json.dumps(clocked(json.loads(argument))))
    elif command == "lone":
        print(json.dumps(lone(int(argument))))


if __name__ == "__main__":
    main(*sys.argv[1:])
