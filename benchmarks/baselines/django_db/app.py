"""The Celery application, and ``python -m benchmarks.baselines.django_db.app fill N``."""

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


def main(command: str, count: int) -> None:
    import django
    from django.core.management import call_command

    from benchmarks.baselines.django_db import app as module

    django.setup()
    if command == "migrate":
        call_command("migrate", verbosity=0, interactive=False)
    elif command == "fill":
        with module.app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                module.noop.apply_async(producer=producer)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
