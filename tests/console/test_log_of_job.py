"""The log of one job on its page, and as it is taken away."""

import json

from jobs.models import JobLog
from tests.console.conftest import Person
from tests.factory import job_row

HOSTILE = "<script>alert('x')</script>"


def test_the_log_is_filtered_and_taken_away(viewer: Person) -> None:
    job = job_row()
    lines = [
        ["2025-11-24T12:00:00.5", "INFO", "sync", None, "begun"],
        ["2025-11-24T12:00:01.5", "ERROR", "sync", "sw1", HOSTILE],
        ["not a time", "WARNING", "sync", "sw2", "slow"],
    ]
    JobLog.objects.create(job=job, lines=3, size=30, text=json.dumps(lines))
    page = viewer.markup(f"/jobs/{job.pk}")
    assert page.count("data-level=") == 3
    assert "<script>alert" not in page
    assert viewer.markup(f"/jobs/{job.pk}?level=WARNING&text=sw2").count("data-level=") == 1
    assert "No line matches" in viewer.read(f"/jobs/{job.pk}?text=nothing")
    text = viewer.open(f"/jobs/{job.pk}/log?level=ERROR")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert text.content.decode() == f"2025-11-24T12:00:01.5 ERROR sync [sw1]: {HOSTILE}\n"


def test_ten_thousand_lines_are_a_small_page(viewer: Person) -> None:
    job = job_row()
    lines = [["2025-11-24T12:00:00", "INFO", "m", None, f"{n} {'x' * 100}"] for n in range(10_000)]
    lines[9_998][4] = "y" * 5_000
    JobLog.objects.create(job=job, lines=10_000, size=1_000_000, text=json.dumps(lines))
    page = viewer.markup(f"/jobs/{job.pk}")
    assert len(page.encode()) < 150_000
    assert "The last 200 of 10,000 lines" in viewer.read(f"/jobs/{job.pk}")
    assert "9999 x" in page
    assert f"{'y' * 100} … {'y' * 300}<" in page


def test_a_traceback_keeps_its_lines_and_its_end(viewer: Person) -> None:
    """However long it is: the end says what went wrong."""
    job = job_row()
    text = "it broke\nTraceback\n" + "  File\n" * 20_000 + "KeyError: 'address'"
    JobLog.objects.create(
        job=job, lines=1, size=30, text=json.dumps([["2025-11-24T12:00:00", "ERROR", "m", None, text]])
    )
    page = viewer.markup(f"/jobs/{job.pk}")
    assert "it broke\nTraceback\n  File\n" in page
    assert "  File\nKeyError: &#x27;address&#x27;<" in page
    assert len(page) < 150_000


def test_a_line_of_the_log_names_its_device_once(viewer: Person) -> None:
    job = job_row()
    line = ["2026-11-27T01:00:00+00:00", "INFO", "devices.sync", "sw1", "sw1: confirmed"]
    JobLog.objects.create(job=job, lines=1, size=10, text=json.dumps([line]))
    assert "INFO</span> <b><bdi>sw1</bdi></b> confirmed" in viewer.markup(f"/jobs/{job.pk}")
