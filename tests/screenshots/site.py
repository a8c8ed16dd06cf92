"""A site in the middle of its day: a change that was tried and is being made, another that waits, and earlier jobs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django_celery_beat.models import PeriodicTask

from devices.tasks import sync_devices
from jobs.models import JobDevice
from jobs.states import JobDeviceState
from tests.factory import daily, device_row, every, job_row
from tests.run.copy import Copy
from tests.screenshots.inventory import Inventory
from tests.waiting import wait_until

TICKET: Final = "NOC-4711"
# Hours ago, who, minutes that it took, how it ended: what ran before.
NIGHT: Final = (
    (23.2, "schedule backup (ann)", 3, None),
    (21.5, "schedule backup (ann)", 4, None),
    (19.1, "ben", 22, None),
    (17.9, "schedule backup (ann)", 3, None),
    (14.0, "schedule night (ann)", 48, None),
    (12.4, "schedule backup (ann)", 3, "ConnectionError"),
    (11.8, "schedule backup (ann)", 4, None),
    (8.6, "ben", 31, "JobAborted"),
    (7.9, "ben", 27, None),
    (5.2, "schedule backup (ann)", 3, None),
    (2.4, "carla", 12, None),
    (1.1, "schedule backup (ann)", 3, None),
)
WORDS: Final = {
    "ConnectionError": "backup.lab.example: connection refused",
    "JobAborted": "wrong window, again after four (aborted by ben)",
}


class Site:
    """What pictures are taken of. The ids of its jobs say which is which."""

    def __init__(self, directory: Path) -> None:
        self._inventory = Inventory(directory / "inventory")
        places = {"NORNIR_CONFIG": str(self._inventory.config), "CNAASJOBS_TEMPLATES": str(self._inventory.templates)}
        self._copy = Copy(directory, env={**places, "CNAASJOBS_FIRST_RUN": "0"})
        self.dry_run = self.running = 0

    def begin(self) -> None:
        self._copy.process.wait_for_output("To try", timeout=90)
        _history()
        self._ended(self._sync(all=True, dry_run=False, comment="first configuration"))
        self._inventory.write(guests=True, unreachable=True)
        self.dry_run = self._sync(all=True, comment="VLAN for guests", ticket_ref=TICKET)
        self._ended(self.dry_run)
        slow = ("eosaccess4", "eosaccess5", "eosaccess6", "eosaccess8")
        self._inventory.write(guests=True, unreachable=True, slow=slow)
        self.running = self._sync(group="access", dry_run=False, comment="VLAN for guests", ticket_ref=TICKET)
        done = JobDevice.objects.filter(job_id=self.running, state=JobDeviceState.DONE)
        wait_until(lambda: done.count() > 4, timeout=60)
        self._sync(hostname="eosdist2", comment="new uplink, to look at")
        tonight = datetime.now(UTC).replace(hour=1, minute=30, second=0, microsecond=0) + timedelta(days=1)
        self._sync(group="dist", dry_run=False, start_at=tonight.isoformat(), comment="window", ticket_ref="NOC-4720")

    def stop(self) -> None:
        self._copy.stop()

    @property
    def url(self) -> str:
        return self._copy.url

    def _sync(self, **body: Any) -> int:
        return int(self._copy.post("/api/v1.0/device_syncto", body)["job_id"])

    def _job(self, job_id: int) -> dict[str, Any]:
        job: dict[str, Any] = self._copy.get(f"/api/v1.0/job/{job_id}")["data"]["jobs"][0]
        return job

    def _ended(self, job_id: int) -> None:
        wait_until(lambda: self._job(job_id)["status"] == "FINISHED", timeout=120)


def _history() -> None:
    """Rows, as if the site had run for a day; recurring schedules, as its people made them."""
    now = datetime.now(UTC)
    for hours, who, minutes, wrong in NIGHT:
        start = now - timedelta(hours=hours)
        is_backup = "backup" in who
        wanted = {"all": True, "dry_run": not is_backup and "night" in who}
        failure = {"message": WORDS[wrong], "type": wrong, "args": [], "traceback": ""} if wrong else None
        job = job_row(
            "EXCEPTION" if wrong else "FINISHED",
            exception=json.dumps(failure) if failure else None,
            function_name="backup_configs" if is_backup else "sync_devices",
            task_name="site.jobs.backup_configs" if is_backup else sync_devices.name,
            lock_name=None if is_backup else "devices",
            scheduled_by=who,
            scheduled_time=start,
            start_time=start,
            finish_time=start + timedelta(minutes=minutes),
            exception_type=wrong,
            worker="celery@worker1",
            start_arguments=json.dumps({} if is_backup else wanted),
            change_score=None if wrong or is_backup else minutes,
        )
        for number in range(0 if is_backup or wrong else minutes):
            device_row(job, f"eosaccess{number + 1}")
    night = daily(2, 30, name="night", task=sync_devices.name, kwargs='{"all": true, "dry_run": true}')
    PeriodicTask.objects.filter(pk=night.pk).update(description="What would change, before anybody comes")
    every(6 * 3600, name="access every six hours", task=sync_devices.name, kwargs='{"group": "access"}')
