"""docs/getting-started.md is followed as it is printed, with the lab driver in place of two devices."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.copy import Copy
from tests.services.processes import ROOT

pytestmark = [pytest.mark.needs("redis", "curl"), pytest.mark.long]

PAGE = (ROOT / "docs" / "getting-started.md").read_text()
INSTALL, DIRECTORIES, STAND_IN, START, *SECOND_TERMINAL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
FILES = re.findall(r"^`~/(network/[\w./-]+)`.*?```(?:yaml|jinja)\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
SHOWN = re.search(r"```\n(Job 1 .*?)```", PAGE, re.DOTALL)


class Reader:
    """Somebody who types what the page says, in a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env: dict[str, str] = {"HOME": str(home)}

    def types(self, lines: str, *, beside: Copy | None = None) -> str:
        if beside:
            lines = lines.replace("http://127.0.0.1:8000", beside.url)
        lines = lines.replace(".venv/bin/python", sys.executable)
        env = {**(beside.env if beside else {"PATH": "/usr/bin:/bin"}), **self.env}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", lines], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def exports(self, lines: str) -> dict[str, str]:
        said = self.types(f"{lines}\nenv -0")
        return dict(line.split("=", 1) for line in said.split("\0") if "=" in line)


@pytest.fixture
def reader(scratch: Path) -> Reader:
    reader = Reader(scratch / "home")
    reader.home.mkdir(parents=True)
    reader.types(f"umask 022\n{DIRECTORIES}")
    for name, content in FILES:
        (reader.home / name).write_text(content)
    reader.types(STAND_IN)
    return reader


@pytest.fixture
def copy(scratch: Path, reader: Reader, migrated_file: Path) -> Iterator[Copy]:
    exports, command = START.strip().rsplit("\n", 1)
    assert (INSTALL.strip(), command) == ("make setup", "make run")
    found = reader.exports(exports)
    names = re.findall(r"export (\w+)", exports)
    copy = Copy(scratch, env={name: found[name] for name in names}, database=migrated_file)
    yield copy
    copy.stop()


def test_nobody_else_can_reach_the_passwords(reader: Reader) -> None:
    assert (reader.home / "network").stat().st_mode & 0o077 == 0


def test_the_page_leads_from_nothing_to_a_change_that_was_seen_before(copy: Copy, reader: Reader) -> None:
    assert copy.wait_for_first_job()["status"] == "FINISHED"
    assert SHOWN is not None
    assert re.sub(r"took .* s", "", SHOWN[1]) in re.sub(r"took .* s", "", copy.output())
    diff, again, live, watch, stop = SECOND_TERMINAL
    shown = reader.types(diff, beside=copy)
    assert "+snmp-server community TEMPLATE_SECRET_SNMP ro" in shown
    assert "a-community-of-yours" not in shown
    reader.types(again, beside=copy)
    copy.wait_for_job(2)
    reader.types(live, beside=copy)
    copy.wait_for_job(3)
    assert "snmp-server community a-community-of-yours ro" in (copy.state / "lab" / "sw1").read_text()
    reader.env["CNAASJOBS_DEV"] = "1"  # what one block exports counts in the next
    watched = reader.types(watch, beside=copy)
    assert watched.splitlines()[0] == "job 3 sync_devices: FINISHED"
    assert "NOC-1" in watched
    assert "job 4: ended" in reader.types(stop, beside=copy)
    job = copy.get("/api/v1.0/job/4")["data"]["jobs"][0]
    assert (job["status"], job["exception"]["type"]) == ("EXCEPTION", "JobAborted")
