"""A plugin and the tests of a run of its own, in which one process is killed and the run is interrupted."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection

from tests.services.managed import Managed

TOLD = "TOLD_IN"  # a directory
WAITS = "import signal\nprint('here', flush=True)\nsignal.pause()"


def pytest_sessionstart(session: pytest.Session) -> None:
    _tell(
        "process" if hasattr(session.config, "workerinput") else "controller",
        has_imported="tests.liveness.test_life" in sys.modules,  # which is one of those to be run
        own=[str(settings.CNAASJOBS_STATE_DIR), current_app.conf.broker_url, str(connection.settings_dict["TEST"])],
        environment=os.environ["CNAASJOBS_STATE_DIR"],
    )


@pytest.mark.long  # so that it begins first, and no process has it behind the one that waits for ever
def test_it_is_killed() -> None:
    if [*Path(os.environ[TOLD]).glob("killed-*")]:
        _tell("again")  # pytest-xdist runs it once more
    else:
        _tell("killed", program=_program(), directory=str(settings.CNAASJOBS_STATE_DIR))
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
def test_it_waits() -> None:
    _tell("waiting", program=_program())
    signal.pause()


def _program() -> int:
    source = Path(os.environ[TOLD], f"{os.getpid()}.py")
    source.write_text(WAITS)
    process = Managed("program", [sys.executable, str(source)], log=source.with_suffix(".log"), preloaded=True)
    process.wait_for_output("here")
    return process.pid


def _tell(what: str, **told: object) -> None:
    Path(os.environ[TOLD], f"{what}-{os.getpid()}.json").write_text(json.dumps(told))
