"""The first dry run as its reader sees it, on inventories that have everything: in this process, by the real API."""

import json
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rich.console import Console

from cnaasjobs.run import first_job, outcomes, screen
from cnaasjobs.run.api import Answer, Api
from cnaasjobs.run.first_job import FirstJob
from cnaasjobs.run.outcomes import FoundDevice, Outcome
from jobs.models import Job
from jobs.testing import perform
from tests.devices.lab import Lab

pytestmark = pytest.mark.django_db(transaction=True)


class Here(Api):
    """Calls the application in this process, where a job that was scheduled is run at once."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:8000", None)
        self.before: Callable[[], object] = lambda: None

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        response = Client().generic(method, path, json.dumps(body) if body else "", content_type="application/json")
        if method == "POST" and response.status_code == 200:
            self.before()
            perform(Job.objects.get(pk=response.json()["job_id"]))
        return Answer(response.status_code, response.json(), int(response.headers.get("X-Total-Count") or 0))


@pytest.fixture
def lab(tmp_path: Path, settings: Settings) -> Lab:
    lab = Lab(tmp_path)
    settings.NORNIR_CONFIG, settings.CNAASJOBS_TEMPLATES = lab.config, lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state
    return lab


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_job, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(first_job, "ANNOUNCED_SECONDS", 0.0)


def shown(api: Here | None = None, *, own: str | None = "/etc/nornir.yml", stopped: bool = False) -> str:
    said: list[str] = []
    stopping = threading.Event()
    if stopped:
        stopping.set()
    FirstJob(api or Here(), own_inventory=own, say=said.append, stopping=stopping).run()
    return "\n".join(said)


def test_what_failed_comes_first_with_its_reason_then_what_would_change(lab: Lab) -> None:
    lab.add("same", "new")
    lab.set_running("same", "hostname same\nmotd hello\n")
    lab.add("away", fail="open")
    lab.add("locked", fail="auth")
    lines = shown().splitlines()
    (told,) = (number for number, line in enumerate(lines) if line.startswith("Job "))
    assert lines[told].endswith(": 2 of 4 devices failed, 1 would change, 1 would not change")
    table = [line.split() for line in lines[told + 2 : told + 7]]
    assert table[0] == ["device", "outcome", "lines", "score", "why"]
    assert table[1][:4] == ["away", "failed", "cannot", "connect:"]
    assert table[2][:2] == ["locked", "failed"]
    assert table[3] == ["new", "would", "change", "+2", "-0", "2"]
    assert table[4] == ["same", "no", "change", "+0", "-0", "0"]


def test_all_failed_is_reported_as_such(lab: Lab) -> None:
    lab.add("sw1", "sw2", fail="auth")
    assert "2 of 2 devices failed\n" in shown()


def test_of_many_devices_the_first_are_shown_and_all_are_counted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_job, "PAGE", 10)
    lab.add(*(f"sw{number}" for number in range(25)))
    lab.add("last", fail="open")
    said = shown()
    assert "its 26 devices begins (sw0, sw1, sw2 and 23 more)" in " ".join(said.split())
    assert "1 of 26 devices failed, 25 would change" in said
    assert "\nlast " in said
    assert "\nAnd 6 more, in the console: http://127.0.0.1:8000/jobs/" in said


def test_a_job_that_ended_badly_says_how(lab: Lab) -> None:
    lab.add("sw1")
    api = Here()
    api.before = lambda: (lab.directory / "hosts.yml").write_text("sw1:\n  platform: 7\n")
    said = shown(api)
    assert "it had no devices; InventoryError: " in said.replace("\n", " ")
    assert "hosts.yml: host sw1: platform must be text (quote it)" in " ".join(said.split())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sw1: {}\nsw2\n  hostname: x\n", "hosts.yml, line 3: "),
        ("sw1: {platform: 7}", "hosts.yml: host sw1: platform must be text (quote it)"),
        ("{}", "the inventory has no devices"),
        (None, "hosts.yml can't be read: No such file or directory"),
    ],
)
def test_an_inventory_of_no_use_is_named_and_nothing_is_scheduled(lab: Lab, content: str | None, said: str) -> None:
    file = lab.directory / "hosts.yml"
    file.unlink() if content is None else file.write_text(content)
    text = " ".join(shown().split())
    assert "No first dry run: " in text
    assert said in text
    assert "To try" in text
    assert not Job.objects.exists()


def test_while_it_is_announced_it_can_be_prevented(lab: Lab) -> None:
    lab.add("sw1")
    said = shown(stopped=True)
    assert "It logs in to each of them, compares, and changes nothing." in " ".join(said.split())
    assert not Job.objects.exists()
    assert "To try" not in said


def test_only_in_the_lab_the_lines_to_try_change_a_device(lab: Lab) -> None:
    lab.add("sw1")
    assert '{"hostname": "sw1", "dry_run": true}' in shown()
    assert '{"hostname": "sw1", "dry_run": false}' in shown(own=None)


def test_any_name_of_a_device_can_be_tried() -> None:
    name = 'o\'neil \x1b[2J "sw1"'
    said = screen.to_try(Api("http://127.0.0.1:8000", None), hostname=name, is_lab=False)
    assert "\x1b" not in said
    words = shlex.split(said.splitlines()[2])
    assert json.loads(words[words.index("-d") + 1]) == {"hostname": name, "dry_run": True}


ROW = {"hostname": "sw1", "failed": False, "state": "DONE", "reason": None, "change_score": None, "report": None}
CLEARS = "\x1b[2Jgone\n"


def test_a_device_s_words_do_not_reach_the_terminal_as_commands() -> None:
    found = FoundDevice.of({**ROW, "hostname": CLEARS, "failed": True, "reason": CLEARS})
    assert "\x1b" not in found.name + found.note
    said: list[str] = []
    stopping = threading.Event()
    stopping.set()
    first = FirstJob(Here(), own_inventory="own", say=said.append, stopping=stopping)
    first._left_out(CLEARS)
    assert not first._announce([CLEARS], 1)
    first._tell({"id": 1, "exception": {"type": CLEARS, "message": CLEARS}, "start_time": None, "finish_time": None})
    assert "\x1b[2J" not in "".join(said)
    assert "".join(said).count("gone") == 4


def test_the_outcome_of_a_device_is_read_from_its_report() -> None:
    diff = {"job_tasks": [{"diff": "--- running\n+++ new\n+ntp server\n-ntp peer\n context"}]}
    changed = FoundDevice.of({**ROW, "report": diff})
    assert (changed.outcome, changed.added, changed.removed) == (Outcome.WOULD_CHANGE, 1, 1)
    assert FoundDevice.of({**ROW, "change_score": 7}).outcome == Outcome.WOULD_CHANGE
    assert FoundDevice.of({**ROW, "state": "WAITING"}).outcome == Outcome.NOT_BEGUN
    assert FoundDevice.of({**ROW, "report": "text"}).outcome == Outcome.NO_CHANGE


@pytest.mark.parametrize("width", [30, 44, 71, 80, 200])
def test_no_line_of_the_table_is_longer_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    why = "cannot connect: Connection refused by the device's own access list"
    names = ["sw1", "a-very-long-name-of-a-switch-in-building-seven.example.org"]
    found = [
        FoundDevice(name=name, outcome=outcome, score=100, added=1234, removed=99, note=why)
        for name, outcome in zip(names, (Outcome.FAILED, Outcome.WOULD_CHANGE), strict=True)
    ]
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(outcomes.table(found, width=width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    everything = "".join("".join(captured.get().split()).split("…"))
    assert "would" in everything
    assert "…" not in captured.get()
    assert all(word in everything for word in ("sw1", "refused", "list"))
