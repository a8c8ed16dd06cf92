"""Canaries in the real processes: what the broker carries, what the logs say, what is in the state directory."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from celery import current_app
from django_celery_results.models import TaskResult

from devices.tasks import sync_devices
from jobs.models import Job
from jobs.states import Status
from tests.devices.conftest import lab, site
from tests.devices.lab import Lab
from tests.fake_jobs import canaries
from tests.secrecy.planting import BROKER, KEY, SAID, TEMPLATE, found_in, planted, stored
from tests.services import Redis
from tests.services.processes import Platform
from tests.waiting import wait_until

__all__ = ["lab", "planted", "site"]

KINDS = ("message", "lines", "bytes", "chained", "group", "cancelled", "interrupted")


def carried(redis: Redis) -> str:
    """All that the broker holds."""
    client = redis.connect()
    parts: list[Any] = []
    for key in client.scan_iter():
        kind = client.type(key)
        parts += [
            key,
            client.lrange(key, 0, -1) if kind == b"list" else client.hgetall(key) if kind == b"hash" else b"",
        ]
    return str(parts)


@pytest.mark.needs("redis")
def test_no_secret_is_in_messages_logs_or_files(redis: Redis, planted: Lab, settings: Any, site: Platform) -> None:
    settings.CELERY_BROKER_URL = redis.url
    names = ("TEMPLATE_SECRET_X", "FORMER_TEMPLATE_SECRET_X_2", "CANARIES")
    site.env |= {name: os.environ[name] for name in names} | {"SECRET_KEY": KEY, "TEMPLATE_SECRET_BROKER": BROKER}
    planted.template("hostname x\n{{ TEMPLATE_SECRET_X }}\n")
    sync = sync_devices.schedule(all=True, dry_run=False)
    assert '"task": "devices.tasks.sync_devices"' in carried(redis)
    assert not (found := found_in(carried(redis))), found
    site.web()
    site.beat()
    worker = site.worker(concurrency=1)  # one child, which has read the inventory by then
    wait_until(lambda: Job.objects.get(pk=sync.pk).status == Status.FINISHED, timeout=60, message=worker.output)
    assert TEMPLATE in (planted.running("sw1") or "")
    for kind in KINDS:
        canaries.raise_canaries.schedule(kind=kind)
    canaries.log_canaries.schedule()
    canaries.return_canaries.schedule()
    plain = current_app.tasks["tests.fake_jobs.canaries.plain_canaries"]
    for fail in (False, True):
        plain.delay(fail=fail)
    planted.options("sw1", secret="other", fail="commit")
    planted.template("hostname y\n{{ TEMPLATE_SECRET_X }}\n")
    sync_devices.schedule(all=True, dry_run=False)
    site.get(f"/api/v1.0/{quote(TEMPLATE)}?filter[{quote(TEMPLATE)}]=1")
    site.post("/api/v1.0/device_syncto", {"hostname": SAID[:200]})
    ended = Job.objects.filter(status__in=[Status.FINISHED, Status.EXCEPTION])
    wait_until(lambda: ended.count() == len(KINDS) + 4, timeout=60, message=worker.output)
    wait_until(lambda: TaskResult.objects.filter(status__in=["SUCCESS", "FAILURE"]).count() == 2, timeout=60)
    assert not (found := found_in(carried(redis))), found
    site.stop()
    assert not (found := found_in(stored())), found
    files = [*files_of(site.directory), *files_of(redis.directory)]
    assert len(files) >= 4
    for file in files:
        assert not (found := found_in(file.read_bytes().decode("utf-8", "replace"))), (file, found)


def files_of(directory: Path) -> list[Path]:
    """The lab's files are what its devices run."""
    return [path for path in directory.rglob("*") if path.is_file() and "lab" not in path.parts]
