"""One, fifty and a thousand devices: complete, in order, and with a number of writes that does not grow with them."""

import json
import logging
import threading
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper

from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync import state
from devices.tasks import sync_devices
from jobs.models import Job, JobDevice, JobLog
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.lab import Lab, devices_of
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Statements:
    """The statements that this process sends to its databases, on all of its connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        execute = CursorWrapper.execute

        def noted(cursor: CursorWrapper, sql: Any, params: Any = None) -> Any:
            self.seen.append(str(sql))
            return execute(cursor, sql, params)

        monkeypatch.setattr(CursorWrapper, "execute", noted)

    def writes(self) -> int:
        """But for the rows of its devices, which are written four times a second, all that changed at once."""
        verbs = ("INSERT", "UPDATE", "DELETE")
        return sum(sql.lstrip().startswith(verbs) and JobDevice._meta.db_table not in sql for sql in self.seen)

    def reads(self) -> int:
        return sum(sql.startswith("SELECT") for sql in self.seen)


def run(lab: Lab, count: int, *, dry_run: bool) -> Job:
    lab.workers = 50
    # Once for all of them: YAML is slow.
    lab.groups["access"] |= {
        "platform": "lab",
        "data": {"device_type": "ACCESS", "motd": "hello"},
        "connection_options": {"napalm": {"extras": {"optional_args": {"delay_seconds": 0.005}}}},
    }
    lab.hosts |= {f"sw{number}": {"groups": ["access"]} for number in range(count)}
    lab.write()
    return perform_job(sync_devices, all=True, dry_run=dry_run)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("count", [1, 50, 1000])
def test_all_devices_are_synchronised(lab: Lab, count: int, dry_run: bool) -> None:
    job = run(lab, count, dry_run=dry_run)
    names = [f"sw{number}" for number in range(count)]
    assert job.status == Status.FINISHED
    devices = devices_of(job)
    assert list(devices) == names
    assert not any(device["failed"] for device in devices.values())
    assert sorted(json.loads(job.finished_devices or "")) == sorted(names)
    assert (lab.running("sw0") is None) is dry_run
    assert DeviceState.objects.filter(uncertain_job_id=None).count() == (0 if dry_run else count)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("device")])


@pytest.mark.parametrize(("dry_run", "batches"), [(True, 0), (False, 10)])  # SQLite: 5, if none is tried again
def test_writes_do_not_grow_with_the_devices(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, settings: Any, dry_run: bool, batches: int
) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 60  # what is written every two seconds is not counted, however slow it is
    monkeypatch.setattr(state, "_SAVE_SECONDS", 60)
    run(lab, 1, dry_run=dry_run)  # the first one makes the lock's row
    statements = Statements(monkeypatch)
    run(lab, 10, dry_run=dry_run)
    few = statements.writes()
    lab.hosts.clear()
    lab.template("hostname {{ host }}\n")
    DeviceState.objects.all().delete()  # those that were known are marked before their commit
    statements.seen.clear()
    run(lab, 600, dry_run=dry_run)
    assert statements.writes() <= few + batches


def test_a_dry_run_asks_the_database_at_most_once_for_each_device(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run(lab, 1, dry_run=True)
    statements = Statements(monkeypatch)
    run(lab, 1, dry_run=True)
    alone = statements.reads()
    statements.seen.clear()
    run(lab, 110, dry_run=True)
    assert alone <= statements.reads() <= alone + 109


def test_what_a_thousand_devices_log_is_written_at_most_every_two_seconds(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that says five things of each device, beside what the sync itself says."""
    load = LabDriver.load_replace_candidate

    def talkative(driver: LabDriver, *args: Any, **options: Any) -> None:
        for number in range(5):
            logging.getLogger("site.driver").info("%s: line %d", driver.hostname, number)
        load(driver, *args, **options)

    monkeypatch.setattr(LabDriver, "load_replace_candidate", talkative)
    statements = Statements(monkeypatch)
    job = run(lab, 1000, dry_run=False)
    assert job.finish_time is not None
    assert job.start_time is not None
    seconds = (job.finish_time - job.start_time).total_seconds()
    inserts = [sql for sql in statements.seen if JobLog._meta.db_table in sql and "INSERT" in sql]
    assert 1 <= len(inserts) <= 1 + seconds / 2
    lines = [line for batch in JobLog.objects.filter(job=job) for line in json.loads(batch.text)]
    assert sum(line[2] == "site.driver" for line in lines) == 5000
