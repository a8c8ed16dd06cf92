"""systemd's units: each command is one of ours, on the port that nginx.conf names, and is stopped as it expects."""

import subprocess
import sys
from pathlib import Path

import pytest
from gunicorn.config import Config

from cnaasjobs.conf import Conf
from cnaasjobs.live.server import SHUTDOWN_SECONDS
from cnaasjobs.run.programs import WORKER_FAREWELL_SECONDS
from tests.deploy.commands import WrongCommand, options_of
from tests.deploy.files import DEPLOY, ROOT, UNITS, command_of, proxied_to, unit, upstreams

WEB, EVENTS = "cnaasjobs-web.service", "cnaasjobs-events.service"
WORKER, BEAT = "cnaasjobs-worker@.service", "cnaasjobs-beat@.service"


def test_there_is_one_for_each_process() -> None:
    assert sorted([WEB, EVENTS, WORKER, BEAT]) == UNITS


@pytest.mark.parametrize("name", UNITS)
def test_its_command_is_one_of_ours(name: str) -> None:
    options_of(command_of(unit(name)))  # raises otherwise


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("gunicorn cnaasjobs.wsgy --bind 127.0.0.1:8000", "there is no cnaasjobs.wsgy"),
        ("gunicorn cnaasjobs.wsgi --bond 127.0.0.1:8000", "unrecognized arguments: --bond"),
        ("celery -A cnaasjobs worker --concurrency many", "many is no number"),
        ("celery -A cnaasjobs worker --slots 8", "No such option"),
        ("celery -A cnaasjobs beat now", "takes no"),
        ("python -m cnaasjobs.live --port 8001", "unrecognized arguments: --port"),
        ("python manage.py job list", "manage.py has no job"),
        ("python manage.py jobs stop 4711", "invalid choice: 'stop'"),
        ("python manage.py jobs abort soon", "'soon' is not the id of a job"),
        ("python -m cnaasjobs.life", "none of our programs"),
    ],
)
def test_a_wrong_command_is_recognised(command: str, why: str) -> None:
    with pytest.raises(WrongCommand, match=why):
        options_of(command.split())


def test_nginx_forwards_to_the_ports_of_the_units() -> None:
    listening = {name: options_of(command_of(unit(name)))["bind"] for name in (WEB, EVENTS)}
    assert upstreams(DEPLOY / "upstreams.conf") == {
        "cnaasjobs_web": listening[WEB],
        "cnaasjobs_events": [listening[EVENTS]],
    }
    assert proxied_to() == {"cnaasjobs_web", "cnaasjobs_events"}


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        (WEB, Config().settings["graceful_timeout"].get()),
        (EVENTS, SHUTDOWN_SECONDS),
        (WORKER, Conf.shutdown_grace_seconds.default + WORKER_FAREWELL_SECONDS),
        (BEAT, WORKER_FAREWELL_SECONDS - 1),
    ],
)
def test_it_may_end_in_its_own_time(name: str, seconds: float) -> None:
    """SIGTERM to the main process alone, and SIGKILL only after what it may take."""
    found = unit(name)
    assert (found["KillMode"], found["Restart"]) == (["mixed"], ["always"])
    assert float(found["TimeoutStopSec"][0]) > seconds


@pytest.mark.parametrize("name", UNITS)
def test_it_runs_in_the_same_place_as_the_others(name: str) -> None:
    first, found = unit(UNITS[0]), unit(name)
    for key in ("User", "WorkingDirectory", "EnvironmentFile", "ProtectSystem", "SystemCallFilter", "NoNewPrivileges"):
        assert found[key] == first[key] != []
    assert command_of(found)[0].startswith(f"{found['WorkingDirectory'][0]}/.venv/bin/")


@pytest.mark.needs("systemd")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    """It looks for the programs too: here those of this environment."""
    paths = [tmp_path / name.replace("@", "@a") for name in UNITS]
    for name, path in zip(UNITS, paths, strict=True):
        text = (DEPLOY / "systemd" / name).read_text()
        text = text.replace("/opt/cnaasjobs/.venv/bin", str(Path(sys.executable).parent))
        path.write_text(text.replace("/opt/cnaasjobs", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "cnaasjobs" in line]
    assert (done.returncode, complaints) == (0, [])
