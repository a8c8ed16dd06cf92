"""The code and the commands of docs/writing-a-job.md are run as they are printed there."""

import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import call_command

from jobs import result_views
from jobs.models import Job
from jobs.task import known_tasks
from jobs.testing import assert_scheduled, perform, perform_job, result_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "writing-a-job.md").read_text()
JOB, SCHEDULE, LOCKS, EACH, CONNECTED, LOG, VIEW, TEST = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
DIRECTORIES, KNOWN, START, RUN_TEST = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.django_db(transaction=True)
def test_the_example_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    module = ModuleType("switches.tasks")
    monkeypatch.setitem(sys.modules, "switches", ModuleType("switches"))
    monkeypatch.setitem(sys.modules, "switches.tasks", module)

    exec(JOB, vars(module))
    with caplog.at_level("INFO"):
        exec(LOG, {"__name__": "docs.writing_a_job.log", "logging": logging, "vlans": [1, 2]})
    assert "2 VLANs read" in caplog.messages
    exec(SCHEDULE, {"__name__": "docs.writing_a_job.schedule"})
    _, start, _ = START.splitlines()
    _, _, *typed = shlex.split(start)
    call_command(*typed)
    assert Job.objects.filter(function_name="reload_devices (dry_run)").count() == 4
    assert assert_scheduled(module.reload_devices, hostnames=["eosdist"]).comment == "new firmware"
    assert assert_scheduled(module.reload_devices, dry_run=False).ticket_ref == "NOC-4711"
    for job in Job.objects.filter(function_name="reload_devices (dry_run)").order_by("id"):
        assert perform(job).status == "FINISHED"
    exec(LOCKS, {"__name__": "docs.writing_a_job.locks", "store_configuration": str.upper})
    backups = [known_tasks()[f"switches.tasks.back_up_{site}"] for site in ("north", "south")]
    rows = [perform_job(backup, hostnames=["sw1"]) for backup in backups]
    assert [(row.function_name, row.lock_name) for row in rows] == [
        ("back_up_north", "site-north"),
        ("back_up_south", "site-south"),
    ]
    assert [result_of(row) for row in rows] == [{"devices": {"sw1": "SW1"}}] * 2
    _goes_through_devices()
    _connects()
    monkeypatch.setattr(result_views, "_views", {})
    exec(VIEW, {"__name__": "docs.writing_a_job.view"})
    view = result_views.view_of("switches.tasks.reload_devices")
    assert view.without('{"devices": {}, "seconds": 7}', result_views.all_parts()) == '{"seconds": 7}'
    shown = view.on_page('{"devices": {}}')
    assert shown is not None
    assert shown.context == {"devices": {}}


@pytest.mark.long
def test_an_app_that_is_made_as_the_page_says_passes_its_test(tmp_path: Path) -> None:
    install, *commands = RUN_TEST.splitlines()
    assert install.startswith(".venv/bin/pip install ")
    *known, run = KNOWN.splitlines()
    assert run == "make run"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CNAASJOBS_STATE_DIR": str(tmp_path / "state")}

    def types(*lines: str) -> subprocess.CompletedProcess[str]:
        text = "\n".join(lines).replace(".venv/bin/python", sys.executable)
        return subprocess.run(["bash", "-ec", text], cwd=ROOT, env=env, capture_output=True, text=True)

    assert types(DIRECTORIES).returncode == 0
    for name, code in re.findall(r"`~/(our-jobs/[\w/]+\.py)`.*?```python\n(.*?)```", PAGE, flags=re.DOTALL):
        (tmp_path / name).write_text(code)
    done = types(*known, *commands)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def _goes_through_devices() -> None:
    reloaded: list[str] = []
    names: dict[str, Any] = {
        "__name__": "docs.writing_a_job.devices",
        "load_settings": dict,
        "reachable": lambda device, settings: device != "sw2",
        "reload": reloaded.append,
    }
    exec(EACH, names)
    job = perform(names["reload_devices"].schedule(hostnames=["sw1", "sw2"], dry_run=False))
    assert (job.status, reloaded) == ("FINISHED", ["sw1"])
    rows = job.devices.order_by("place").values_list("host", "failed", "reason", "report")
    assert [*rows] == [
        ("sw1", False, None, '{"reloaded": true}'),
        ("sw2", True, "it does not answer", rows[1][3]),
    ]


def _connects() -> None:
    said: list[str] = []
    names: dict[str, Any] = {"__name__": "docs.writing_a_job.connected", "notify": said.append}
    exec(CONNECTED, names)
    job = perform_job(names["back_up_group"], group="access")
    assert (job.status, said) == ("FINISHED", [])
    assert all("running" in report for report in result_of(job)["devices"].values())
    names["connected"] = lambda hostname: (_ for _ in ()).throw(OSError("no route"))
    job = perform_job(names["back_up_group"], group="access", most_failures=1)
    reasons = [str(reason) for reason in job.devices.order_by("place").values_list("reason", flat=True)]
    assert reasons[0] == "OSError: no route"
    assert {reason.partition(", ")[0] for reason in reasons[1:]} == {"not tried"}
    assert said == [f"job {job.pk}: {len(reasons)} of {len(reasons)} devices failed"]
