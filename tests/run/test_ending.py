"""However ``make run`` ends, it leaves no process behind, and the next start continues where it was."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.run.copy import STARTED_SECONDS, Copy
from tests.waiting import wait_until

pytestmark = [pytest.mark.needs("redis"), pytest.mark.long]

LEAKS = {"PYTHONWARNINGS": "default::ResourceWarning"}  # what was left open is told


@pytest.fixture
def copy(scratch: Path, migrated_file: Path) -> Iterator[Copy]:
    copy = Copy(scratch, database=migrated_file, env={"CNAASJOBS_FIRST_RUN": "0", **LEAKS})
    yield copy
    copy.stop()


def test_each_signal_ends_all_of_it_and_the_next_start_goes_on_there(scratch: Path, migrated_file: Path) -> None:
    state, password = scratch / "state", ""
    for start, number in enumerate([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], start=1):
        copy = Copy(scratch / str(start), state=state, database=migrated_file if start == 1 else None, env=LEAKS)
        try:
            if start == 1:
                copy.wait_for_first_job()
                password = (state / "admin-password").read_text()
            elif start == 2:
                copy.process.wait_for_output("Admin ", timeout=60)
                wait_until(lambda copy=copy: copy.named("celery", "worker"), timeout=20, interval=0.1)  # type: ignore[misc]
                copy.wait_for_job(copy.sync())
                assert [job["id"] for job in copy.get("/api/v1.0/jobs")["data"]["jobs"]] == list(range(1, start + 1))
                assert "First start" not in copy.output()
            else:
                copy.process.wait_for_output("Admin ", timeout=60)  # its processes have just begun
                assert (state / "admin-password").read_text() == password
            copy.process.signal(number)

            assert copy.process.wait(timeout=30) == 0
            assert copy.processes() == []
            assert "Ended" in copy.output()
            if start == 3:
                continue  # who is ended before it has begun may say so
            logs = "".join(log.read_text() for log in (state / "log").iterdir() if log.name != "broker.log")
            assert not re.search('Warning:|Traceback|"level": "(WARNING|ERROR|CRITICAL)"', copy.output() + logs), logs
        finally:
            copy.stop()


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGINT, False), (signal.SIGHUP, False), (signal.SIGTERM, False), (signal.SIGINT, True)],
)
def test_a_signal_to_make_ends_all_of_it(
    scratch: Path, migrated_file: Path, number: signal.Signals, whole_group: bool
) -> None:
    """Of the first three make passes on only SIGTERM; the last is Ctrl-C, or a shell that ends its job."""
    copy = Copy(scratch, command=["make", "--old-file=setup", "run"], database=migrated_file)
    try:
        copy.process.wait_for_output("Admin ", timeout=60)
        address = ("127.0.0.1", int(copy.url.rpartition(":")[2]))
        os.killpg(copy.process.pid, number) if whole_group else copy.process.signal(number)

        assert copy.process.wait(timeout=30) in (-number, 2)
        assert copy.processes() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        assert "Ended" in copy.output()
        assert "Traceback" not in copy.output()
    finally:
        copy.stop()


def test_nothing_outlives_a_killed_make(scratch: Path, migrated_file: Path) -> None:
    copy = Copy(scratch, command=["make", "--old-file=setup", "run"], database=migrated_file)
    try:
        copy.process.wait_for_output("Admin ", timeout=60)
        copy.process.kill()

        wait_until(lambda: not copy.processes(), timeout=60, interval=0.2, message=lambda: str(copy.processes()))
    finally:
        copy.stop()


def test_it_can_be_ended_while_it_starts(copy: Copy) -> None:
    wait_until(lambda: len(copy.processes()) > 1, interval=0.1)
    copy.process.signal(signal.SIGINT)

    assert copy.process.wait(timeout=30) == 0
    assert copy.processes() == []
    assert not re.search("Warning|Traceback", copy.output())


def test_without_a_first_run_it_says_what_to_try_and_nothing_outlives_a_killed_supervisor(copy: Copy) -> None:
    copy.process.wait_for_output("To try", timeout=STARTED_SECONDS)
    assert "First start" not in copy.output()
    assert copy.get("/api/v1.0/jobs")["data"]["jobs"] == []
    copy.process.kill()

    wait_until(lambda: not copy.processes(), timeout=60, interval=0.2, message=lambda: str(copy.processes()))


def test_a_second_signal_ends_what_does_not_end_by_itself(copy: Copy) -> None:
    """And the first is heard although the web server has not answered yet."""
    copy.process.wait_for_output("Admin ", timeout=STARTED_SECONDS)
    for words in (["gunicorn"], ["celery", "beat"], ["cnaasjobs.live"]):
        for process in copy.named(*words):
            process.suspend()
    wait_until(lambda: len(copy.named("celery", "worker")) > 1, timeout=STARTED_SECONDS, interval=0.1)  # its children
    for process in copy.named("celery", "worker"):
        process.suspend()
    copy.process.signal(signal.SIGINT)
    copy.process.wait_for_output("Ctrl-C again", timeout=20)
    copy.process.signal(signal.SIGINT)

    assert copy.process.wait(timeout=20) == 0
    assert copy.processes() == []
    assert "Not everything is ready" not in copy.output()  # nobody cares any more
    assert "Warning" not in copy.output()
