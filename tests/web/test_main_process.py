"""The project is loaded before gunicorn forks its processes: nothing exists yet that a fork must not copy."""

import json
import logging
from runpy import run_path
from socket import socketpair

import psutil
import pytest
from gunicorn import util
from gunicorn.config import Config

from cnaasjobs.web.logger import QuietLogger
from tests.services.processes import ROOT, Platform

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_thread_no_connection_and_no_database_is_there_to_be_copied(platform: Platform) -> None:
    main = psutil.Process(platform.web().pid)
    assert platform.get("/api/v1.0/jobs")[0] == 200  # its child has a database
    assert main.num_threads() == 1
    assert [one for one in main.net_connections() if one.status != psutil.CONN_LISTEN] == []
    assert [file.path for file in main.open_files() if "sqlite" in file.path] == []
    assert {str(one.laddr) for one in main.net_connections("unix")} <= {""}  # a path is one server's alone


def test_the_project_is_loaded_once(platform: Platform) -> None:
    """What is loaded there, no child loads again."""
    platform.preloaded = False  # whose copies would have all of it anyway
    main = psutil.Process(platform.web().pid)
    assert any("psycopg" in file.path for file in main.memory_maps())


def test_its_file_says_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "write_error", util.write_error)  # the file replaces it
    for name, value in (("WEB_WORKERS", "3"), ("WEB_THREADS", "7"), ("LOG_LEVEL", "ERROR")):
        monkeypatch.setenv(f"CNAASJOBS_{name}", value)
    said = run_path(str(ROOT / "gunicorn.conf.py"))
    assert (said["workers"], said["threads"]) == (3, 7)
    assert said["logconfig_dict"]["root"]["level"] == "ERROR"
    assert said["logconfig_dict"]["loggers"]["gunicorn.access"]["level"] == "WARNING"
    assert said["logger_class"] == f"{QuietLogger.__module__}.{QuietLogger.__name__}"
    ours, theirs = socketpair()
    with ours, theirs:
        util.write_error(ours, 500, "Internal Server Error", "")
        head, _, body = theirs.recv(4096).partition(b"\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in head
    assert json.loads(body) == {"status": "error", "message": "Internal Server Error"}


def test_a_request_is_described_only_to_an_access_log_that_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    access = logging.getLogger("gunicorn.access")
    for name in ("propagate", "level"):
        monkeypatch.setattr(access, name, getattr(access, name))
    monkeypatch.setattr(QuietLogger, "setup", lambda self, config: None)  # which would set up this process's own log
    config = Config()
    config.set("logconfig_dict", {"version": 1})
    logger = QuietLogger(config)
    access.setLevel("WARNING")
    logger.access(None, None, {}, None)  # nothing looks at these
    access.setLevel("INFO")
    assert logger.access_log_enabled
