"""The commands of the docs are those that the programs have, and their variables and units exist."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cnaasjobs.conf import Conf, Start
from tests.deploy.commands import options_of
from tests.deploy.files import ROOT, SITUATIONS, UNITS
from tests.services import PostgreSQL
from tests.services.rabbitmq import _script

PAGES: Final = {
    name: (ROOT / "docs" / name).read_text()
    for name in ("production.md", "troubleshooting.md", "command-line.md", "security.md")
}
PRODUCTION: Final = PAGES["production.md"] + PAGES["troubleshooting.md"]
ENVIRONMENT: Final = re.compile(r"^```\n((?:[A-Z_]+=.*\n)+)```$", re.M)


def _ours() -> Iterator[str]:
    """Each command of ours, as the docs have it."""
    for text in PAGES.values():
        for line in re.findall(r"(?:\.venv/bin/)?((?:python manage\.py|python -m cnaas|celery -A|gunicorn ).+)", text):
            yield re.split(r"`| && | \| |;", line)[0]


@pytest.mark.parametrize("line", sorted({*_ours()}))
def test_a_command_of_ours_is_as_the_program_has_it(line: str) -> None:
    options_of(shlex.split(re.sub(r"<[\w ]+>", "1", line), comments=True))  # raises otherwise


def test_a_line_can_be_copied_as_it_stands() -> None:
    """There need be no ``python`` on the PATH, and if there is one, it is not the project's."""
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    lines = [line for page in pages for line in re.findall(r"^(?:python|celery|gunicorn) .*", page.read_text(), re.M)]
    assert lines == []


def test_each_situation_has_a_command_that_shows_it_and_one_that_mends_it() -> None:
    assert len(SITUATIONS) >= 10
    assert [name for name, commands in SITUATIONS.items() if len(commands) < 2] == []


def test_each_alert_leads_to_a_situation() -> None:
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "deploy" / "alerts.yml").read_text())
    assert len(alerts) >= 10
    assert [alert for alert in alerts if f"`{alert}`" not in PAGES["troubleshooting.md"]] == []


def test_a_shell_reads_the_environment_as_systemd_does(scratch: Path) -> None:
    """Each loads it, as the pages say. To systemd a value is the rest of its line, to a shell only if it is quoted."""
    blocks = [block for page in PAGES.values() for block in ENVIRONMENT.findall(re.sub(r"<[^>\n]+>", "1", page))]
    file = scratch / "cnaasjobs.env"
    file.write_text("".join(blocks))
    written = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert {"DATABASE_URL", "CNAASJOBS_JWT_GROUPS"} <= written.keys()
    read = subprocess.run(["sh", "-ec", f"set -a; . {file}; env"], capture_output=True, text=True, check=True).stdout
    assert {f"{name}={value.strip(chr(39))}" for name, value in written.items()} - {*read.splitlines()} == set()


def test_its_variables_are_those_of_the_settings() -> None:
    known = {variable.name for table in (Start, Conf) for variable in table.variables()}
    assert set(re.findall(r"CNAASJOBS_[A-Z_]*[A-Z]", PRODUCTION)) - known == set()


def test_the_page_names_each_unit_and_no_other() -> None:
    named = re.findall(r"\bcnaasjobs-(?:web|events|worker|beat)\b@?", PRODUCTION)
    assert {f"{name}.service" for name in named} == {*UNITS}


@pytest.mark.needs("postgresql")
def test_its_statements_are_those_of_the_database(postgresql: PostgreSQL) -> None:
    statements = re.findall(r'^psql .* -c "(.+)"$', PRODUCTION, re.M)
    assert len(statements) >= 6
    for statement in statements:
        if "pg_promote" not in statement:  # only a standby takes that
            postgresql.execute(
                statement.replace("<pid>", "0").replace("cnaasjobs RESET", f"{postgresql.database} RESET")
            )


@pytest.mark.needs("rabbitmq")
def test_rabbitmqctl_has_each_command_that_the_page_names() -> None:
    program = _script("rabbitmqctl")
    assert program is not None
    env = os.environ | {"ERL_FLAGS": "-start_epmd false"}  # it asks no node, and would leave the daemon behind
    known = subprocess.run([program, "help"], capture_output=True, text=True, check=False, env=env).stdout
    named = set(re.findall(r"^rabbitmqctl (\w+)", PRODUCTION, re.M))
    assert named >= {"list_queues", "delete_queue", "purge_queue"}
    assert {verb for verb in named if not re.search(rf"^ +{verb} ", known, re.M)} == set()
