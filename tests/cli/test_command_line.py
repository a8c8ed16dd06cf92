"""``manage.py`` at the shell: what its commands say when they cannot do their work, and what they write into a pipe."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from cnaasjobs.command_line import main
from jobs.api.log_view import batches_of
from jobs.cli import follow
from jobs.management.commands import jobs as command
from jobs.models import JobLog
from tests.deploy.files import ROOT
from tests.factory import device_row, job_row
from tests.services.base import free_port
from tests.switching import database_fails, database_url, on_database

pytestmark = pytest.mark.django_db(transaction=True)

LOOKING = (
    ("jobs", "list"),
    ("jobs", "show", "1"),
    ("jobs", "log", "1"),
    ("locks", "list"),
    ("token", "list"),
    ("audit", "verify"),
)
CHANGING = (
    ("jobs", "abort", "1"),
    ("jobs", "approve", "1"),
    ("jobs", "reject", "1"),
    ("jobs", "rerun", "1"),
    ("locks", "clear", "devices"),
    ("token", "create", "ann"),
    ("token", "revoke", "1"),
)


@pytest.fixture(autouse=True)
def _is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django sets up logging anew for each command."""
    monkeypatch.setattr("django.setup", lambda: None)


def said(*arguments: str) -> str:
    """What ``manage.py`` ends with."""
    words = main(["manage.py", *arguments])
    assert isinstance(words, str)
    return words


@pytest.fixture
def nowhere() -> Iterator[None]:
    """No server listens there."""
    with on_database(f"postgres://ann:secret@127.0.0.1:{free_port()}/nothing"):
        yield


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("arguments", [*LOOKING, *CHANGING], ids=" ".join)
def test_a_database_that_is_away_is_reported_in_a_line(arguments: tuple[str, ...]) -> None:
    words = said(*arguments)
    assert words.startswith("No answer from the database: ")
    assert "Connection refused" in words
    assert "\n" not in words
    assert "secret" not in words


@pytest.mark.parametrize("arguments", [*LOOKING, *CHANGING, ("jobs", "wait", "1")], ids=" ".join)
def test_a_database_that_was_never_migrated_is_reported_in_a_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with on_database(f"sqlite:///{tmp_path}/new.sqlite3"):
        words = said(*arguments)
    assert words.startswith("The database lacks ")
    assert words.endswith(" migrations of this version: python manage.py migrate")


def test_a_mistake_of_ours_has_its_traceback(tmp_path: Path) -> None:
    with on_database(f"sqlite:///{tmp_path}/new.sqlite3"), pytest.raises(OperationalError):
        main(["manage.py", "jobs", "--traceback", "list"])


def test_a_number_that_no_job_can_have_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("show", "wait", "abort", "log", "rerun", "approve", "reject"):
        for number in ("0", "-1", "9223372036854775808", "x"):
            with pytest.raises(SystemExit) as ended:
                main(["manage.py", "jobs", verb, "--", number])
            assert ended.value.code == 2
            assert f"'{number}' is not the id of a job" in capsys.readouterr().err


# --- while it is away for a time --------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("wait",), ("wait", "--json"), ("watch",), ("log", "--follow")], ids=" ".join)
def test_what_waits_goes_on_when_the_database_is_back(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(command, "_REFRESH_SECONDS", 0.01)
    job = job_row()
    line = ["2026-11-24T13:06:03.319761", "INFO", "site", None, "done"]
    JobLog.objects.create(job=job, lines=1, size=4, text=json.dumps([line]))
    out, told = io.StringIO(), io.StringIO()

    def away_until_it_was_said(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not told.getvalue():
            raise OperationalError("server closed the connection")
        return execute(sql, *rest)

    verb, *options = arguments
    with connection.execute_wrapper(away_until_it_was_said):
        call_command("jobs", verb, str(job.pk), *options, stdout=out, stderr=told)
    assert told.getvalue() == "No answer from the database: server closed the connection (waiting)\n"
    assert ("done" if verb == "log" else "FINISHED") in out.getvalue()


def test_it_is_reported_once_each_time_that_it_is_away() -> None:
    said: list[str] = []
    patience = follow.Patience(said.append)
    for is_away in (True, True, False, True, True):
        with patience.outlasting():
            if is_away:
                raise OperationalError("server closed the connection")
    assert said == ["No answer from the database: server closed the connection (waiting)"] * 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_timeout_is_one_while_the_database_is_away_too(options: tuple[str, ...]) -> None:
    with database_fails(), pytest.raises(SystemExit) as ended:
        call_command("jobs", "wait", "1", "--timeout", "0", *options, stdout=io.StringIO(), stderr=io.StringIO())
    assert ended.value.code == 3


def test_a_log_is_followed_batch_by_batch_in_whatever_order_they_come() -> None:
    """Processes that share a job commit their batches in another order than these have numbers."""
    job = job_row()

    def batch(number: int) -> JobLog:
        line = ["2026-11-24T13:06:03.319761", "INFO", "site", None, f"line {number}"]
        return JobLog(pk=number, job=job, lines=1, size=6, text=json.dumps([line]))

    def told(but: set[int]) -> list[tuple[int, list[str]]]:
        return [(key, [line.text for line in lines]) for key, lines in batches_of(job.pk, but=but)]

    batch(2).save(force_insert=True)
    assert told(set()) == [(2, ["line 2"])]
    batch(1).save(force_insert=True)
    batch(3).save(force_insert=True)
    assert told({2}) == [(1, ["line 1"]), (3, ["line 3"])]


# --- in a pipe --------------------------------------------------------------------------------------------------------


def test_a_pipe_gets_a_line_for_each_row_without_padding() -> None:
    failed = job_row("EXCEPTION", comment="night", scheduled_by="ann")
    device_row(failed, "a1", reason="no route " * 60)
    device_row(failed, "a2")
    job_row("SCHEDULED", comment="a" * 255, ticket_ref="NOC-4711")
    for arguments in (("list",), ("show", str(failed.pk))):
        out = io.StringIO()
        call_command("jobs", *arguments, stdout=out)
        lines = out.getvalue().splitlines()
        assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if "no route" in line] == [next(line for line in lines if line.startswith("a1"))]


def process(*arguments: str, stdout: int) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, stdout=stdout, stderr=subprocess.PIPE
    )


def test_a_reader_that_went_away_is_no_mistake() -> None:
    job_row()
    reading, writing = os.pipe()
    os.close(reading)
    with process("jobs", "list", stdout=writing) as listing:
        os.close(writing)
        assert listing.stderr is not None
        assert (listing.wait(120), listing.stderr.read()) == (141, b"")


def test_ctrl_c_ends_it_without_a_word() -> None:
    job_row()
    with process("jobs", "watch", stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline())["status"] == "FINISHED"
        watching.send_signal(signal.SIGINT)
        assert (watching.wait(120), watching.stderr.read()) == (130, b"")


def in_latin(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What arrives at a terminal that is not one of UTF-8."""
    received = io.BytesIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", io.TextIOWrapper(received, encoding="latin-1"))
        assert main(["manage.py", *arguments]) is None
        return received.getvalue().decode("latin-1")


def test_what_the_terminals_encoding_lacks_is_written_as_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    job_row(comment="größe \N{SNOWMAN}")
    assert r"größe \u2603" in in_latin(monkeypatch, "jobs", "list")


def test_json_escapes_what_the_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    job_row(comment="größe \N{SNOWMAN}")
    (job,) = json.loads(in_latin(monkeypatch, "jobs", "list", "--json"))["jobs"]
    assert job["comment"] == "größe \N{SNOWMAN}"


def test_a_full_disk_is_reported_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    job_row()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert said("jobs", "list") == "The output can't be written: No space left on device"


def test_an_output_that_was_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_row()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", None)
        assert main(["manage.py", "jobs", "wait", str(job.pk)]) is None
        sys.stdout.close()


@pytest.mark.parametrize("arguments", [("jobs", "list"), ("jobs", "rerun", "1", "--comment"), ("locks", "clear")])
def test_an_argument_that_is_not_text_is_refused(arguments: tuple[str, ...]) -> None:
    """As Python hands them on."""
    assert said(*arguments, "a\udcffb") == "This argument is not valid text in the terminal's encoding: 'a\\udcffb'"


def test_a_python_without_the_projects_packages_says_which_one_has_them() -> None:
    line = [sys.executable, "-S", "manage.py", "jobs", "list"]  # without site-packages
    done = subprocess.run(line, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "use .venv/bin/python" in done.stderr
    assert len(done.stderr.splitlines()) == 1
