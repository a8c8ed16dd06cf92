"""The page for people who write jobs: its code is run as it is printed there."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from jobs import result_views
from jobs.models import Job
from jobs.testing import assert_scheduled, perform

PAGE = Path(__file__).resolve().parents[2] / "docs" / "writing-a-job.md"


@pytest.mark.django_db(transaction=True)
def test_the_example_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    job_code, schedule_code, each_code, log_code, view_code, test_code = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL
    )
    names: dict[str, Any] = {"__name__": "docs.writing_a_job"}

    exec(job_code, names)
    exec(schedule_code, names)
    assert Job.objects.filter(function_name="reload_devices (dry_run)").count() == 3
    assert assert_scheduled(names["reload_devices"], dry_run=False).ticket_ref == "NOC-4711"
    for job in Job.objects.filter(function_name="reload_devices (dry_run)").order_by("id"):
        assert perform(job).status == "FINISHED"
    _goes_through_devices(each_code)
    exec(log_code, {"__name__": "docs.writing_a_job.log", "logging": logging, "vlans": [1, 2]})
    assert "2 VLANs read" in caplog.messages
    monkeypatch.setattr(result_views, "_views", {})
    exec(view_code, names)
    view = result_views.view_of("switches.tasks.reload_devices")
    assert view.without('{"devices": {}, "seconds": 7}', result_views.all_parts()) == '{"seconds": 7}'
    shown = view.on_page('{"devices": {}}')
    assert shown is not None
    assert shown.context == {"devices": {}}
    exec(test_code, names)
    names["test_reload_devices"]()


def _goes_through_devices(code: str) -> None:
    reloaded: list[str] = []
    names: dict[str, Any] = {
        "__name__": "docs.writing_a_job.devices",
        "load_settings": dict,
        "reachable": lambda device, settings: device != "sw2",
        "reload": reloaded.append,
    }
    exec(code, names)
    job = perform(names["reload_devices"].schedule(hostnames=["sw1", "sw2"], dry_run=False))
    assert (job.status, reloaded) == ("FINISHED", ["sw1"])
    rows = job.devices.order_by("place").values_list("host", "failed", "reason", "report")
    assert [*rows] == [
        ("sw1", False, None, '{"reloaded": true}'),
        ("sw2", True, "it does not answer", rows[1][3]),
    ]
