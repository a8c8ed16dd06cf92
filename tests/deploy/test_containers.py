"""The commands of docs/containers.md: verbs of Compose, services of the file, programs that exist."""

import argparse
import re
import shlex
from typing import Final

import pytest

from tests.deploy.commands import options_of
from tests.deploy.files import ROOT
from tests.deploy.test_compose import OURS, SERVICES

PAGE: Final = (ROOT / "docs" / "containers.md").read_text()
COMMANDS: Final = sorted({line for line in re.findall(r"docker compose [^`\n]+", PAGE) if "…" not in line})
PROSE: Final = re.sub(r"\s+", " ", PAGE)


def parser() -> argparse.ArgumentParser:
    """Of what Compose takes, the part that the page uses."""
    compose = argparse.ArgumentParser(exit_on_error=False)
    verbs = compose.add_subparsers(dest="verb", required=True)
    takes: dict[str, list[str]] = {
        "up": ["--detach", "--build", "--no-deps", "--wait"],
        "build": [],
        "stop": [],
        "restart": [],
        "kill": [],
        "logs": ["--tail="],
        "exec": ["-T"],
        "run": ["--rm"],
    }
    for verb, options in takes.items():
        one = verbs.add_parser(verb)
        for option in options:
            one.add_argument(option.rstrip("="), action="store" if option.endswith("=") else "store_true")
        if verb in ("exec", "run"):
            one.add_argument("service", choices=[*SERVICES])
            one.add_argument("command", nargs=argparse.REMAINDER)
        else:
            one.add_argument("services", nargs="*")
    return compose


@pytest.mark.parametrize("line", COMMANDS)
def test_its_services_and_programs_are_there(line: str) -> None:
    words = shlex.split(line.removeprefix("docker compose ").partition(" > ")[0].partition(" < ")[0])
    asked = parser().parse_args(words)
    command = getattr(asked, "command", [])
    assert {*getattr(asked, "services", [])} <= SERVICES.keys()
    if command[:2] == ["python", "manage.py"]:
        assert asked.service in OURS
        options_of(command)  # raises otherwise
    elif command:
        programs = {
            "postgresql": {"psql", "pg_dump", "pg_restore", "createdb", "dropdb"},
            "rabbitmq": {"rabbitmqctl"},
            "nginx": {"nginx"},
        }
        assert command[0] in programs[asked.service]


def test_it_names_the_database_and_its_owner_as_the_file_does() -> None:
    made = SERVICES["postgresql"]["environment"]
    asked = [line for line in COMMANDS if "exec" in line and "--username" in line]
    assert len(asked) >= 4
    for line in asked:
        assert f"--username {made['POSTGRES_USER']} " in line
        assert line.partition(" > ")[0].partition(" < ")[0].endswith(f" {made['POSTGRES_DB']}")


def test_before_a_restore_or_a_rollback_all_of_ours_stop() -> None:
    stops = re.findall(r"^docker compose stop (.+)$", PAGE, re.M)
    assert [{*line.split()} for line in stops] == [OURS.keys() - {"migrate"}] * 2


def test_what_it_says_of_the_file_is_so() -> None:
    assert "nothing else in our containers is writable except `/tmp`" in PROSE
    assert {(service["read_only"], *service["tmpfs"]) for service in OURS.values()} == {(True, "/tmp")}
    assert "A container that exits is restarted" in PROSE
    assert {name for name, service in SERVICES.items() if service["restart"] != "unless-stopped"} == {"migrate"}
