"""``make run`` as its user sees it: the first job, processes that come back, two copies side by side."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from urllib.error import HTTPError

import pytest

from tests.run.copy import Copy
from tests.services import PostgreSQL, RabbitMQ, scratch_directory
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("redis")


@pytest.fixture(scope="module")
def running() -> Iterator[Copy]:
    """One copy for all tests of this module that leave it running."""
    directory = scratch_directory("run")
    left_open = directory / "state" / "log" / "web.log"  # by mistake, before the first start
    left_open.parent.mkdir(parents=True)
    left_open.touch()
    for path in (left_open, *left_open.parents[:2]):
        path.chmod(0o777)
    copy = Copy(directory)
    copy.wait_for_first_job()
    yield copy
    copy.stop()
    rmtree(directory, ignore_errors=True)


def test_the_first_start_shows_the_first_job_as_curl_does(running: Copy) -> None:
    job = running.wait_for_first_job()

    assert (job["id"], job["status"], job["function_name"]) == (1, "FINISHED", "sync_devices (dry_run)")
    assert sorted(job["finished_devices"]) == sorted(job["result"]["devices"])
    assert running.get("/api/v1.0/job/1")["data"]["jobs"][0] == job
    assert f"curl {running.url}/api/v1.0/job/1" in running.output()


def test_it_prints_the_curl_lines_to_try(running: Copy) -> None:
    address = f"{running.url}/api/v1.0"

    assert f"curl {address}/jobs\n" in running.output()
    assert f'curl "{address}/jobs?per_page=50&page=2"' in running.output()
    assert f"""curl {address}/joblocks -X DELETE -d '{{"name": "devices"}}' -H""" in running.output()


def test_it_prints_no_warning_and_no_traceback(running: Copy) -> None:
    assert not re.search("warning|traceback", running.output(), re.IGNORECASE)


def test_the_admin_password_is_printed_and_kept_for_its_owner_alone(running: Copy) -> None:
    for name in ("admin-password", "secret-key"):
        assert stat.S_IMODE((running.state / name).stat().st_mode) == 0o600
    assert f"user admin, password {(running.state / 'admin-password').read_text().strip()} " in running.output()


def test_the_state_directory_is_for_its_owner_also_what_was_there_before(running: Copy) -> None:
    every = [running.state, *running.state.rglob("*")]
    assert {"web.log", "db.sqlite3", "broker.sock", "appendonlydir"} <= {path.name for path in every}
    assert [path for path in every if path.lstat().st_mode & 0o077] == []


@pytest.mark.parametrize(
    "words",
    [("celery", "worker"), ("celery", "beat"), ("gunicorn",), ("cnaasjobs.live",), ("cnaasjobs.run.splitter",)],
    ids=" ".join,
)
def test_a_killed_process_is_started_again(running: Copy, words: tuple[str, ...]) -> None:
    before = running.named(*words)
    before[0].kill()

    wait_until(lambda: not any(process.is_running() for process in before), timeout=20)
    wait_until(lambda: running.named(*words), timeout=20, interval=0.1, message=running.output)
    wait_until(lambda: _is_ready(running), timeout=60, interval=0.2, message=running.output)
    running.wait_for_job(running.sync())


def test_a_killed_broker_is_started_again(running: Copy) -> None:
    broker = [process for process in running.processes() if process.name() in {"redis-server", "valkey-server"}]
    broker[0].kill()

    wait_until(lambda: _is_ready(running), timeout=60, interval=0.2, message=running.output)
    running.wait_for_job(running.sync())


def test_another_copy_runs_beside_it(running: Copy, scratch: Path) -> None:
    other = Copy(scratch)
    try:
        assert other.wait_for_first_job()["id"] == 1
        assert other.url != running.url
        assert other.get("/readyz")
        assert running.get("/readyz")
    finally:
        other.stop()


def test_the_same_state_directory_is_refused_in_one_line(running: Copy, scratch: Path) -> None:
    second = Copy(scratch, env={"CNAASJOBS_STATE_DIR": str(running.state)})

    assert second.process.wait() == 1
    assert second.output() == (
        f"State directory {running.state} is in use by process {running.process.pid}:"
        " set CNAASJOBS_STATE_DIR to another\n"
    )


def test_a_port_in_use_is_refused_in_one_line(running: Copy, scratch: Path) -> None:
    port = running.url.rpartition(":")[2]
    second = Copy(scratch, env={"PORT": port})

    assert second.process.wait() == 1
    assert second.output() == f"Port {port} on 127.0.0.1 is in use: set PORT to another\n"


def test_a_port_that_is_none_is_refused_in_one_line(scratch: Path) -> None:
    copy = Copy(scratch, env={"PORT": "http"})

    assert copy.process.wait() == 1
    assert copy.output() == "PORT must be a number from 0 to 65535 (0: any free one), not 'http'\n"


def test_a_state_directory_too_long_for_a_socket_works(scratch: Path) -> None:
    long = scratch / ("d" * 120) / "with space"
    copy = Copy(scratch, env={"CNAASJOBS_STATE_DIR": str(long)})
    copy.state = long
    try:
        assert copy.wait_for_first_job()["status"] == "FINISHED"
    finally:
        copy.stop()


def test_beyond_loopback_a_token_is_required_and_printed(scratch: Path) -> None:
    copy = Copy(scratch, env={"HOST": "0.0.0.0"})
    try:
        assert copy.wait_for_first_job()["status"] == "FINISHED"
        token = (copy.state / "token").read_text().strip()

        with pytest.raises(HTTPError) as refused:
            copy.get("/api/v1.0/jobs")
        refused.value.close()

        assert refused.value.code == 401
        assert copy.get("/api/v1.0/jobs", Authorization=f"Bearer {token}")["status"] == "success"
        assert f"Token      {token} " in copy.output()
        assert stat.S_IMODE((copy.state / "token").stat().st_mode) == 0o600
    finally:
        copy.stop()


@pytest.mark.needs("postgresql", "rabbitmq")
def test_a_database_and_a_broker_of_ones_own_are_used(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, scratch: Path
) -> None:
    copy = Copy(scratch, env={"DATABASE_URL": postgresql.url, "CELERY_BROKER_URL": rabbitmq.url})
    try:
        assert copy.wait_for_first_job()["status"] == "FINISHED"
        assert postgresql.execute("SELECT count(*) FROM jobs_job") == [(1,)]
        assert "default" in rabbitmq.queues()
        assert not list(copy.state.glob("broker*")) + list(copy.state.glob("*.sqlite3"))
    finally:
        copy.stop()


def test_a_database_that_is_away_is_one_line(scratch: Path) -> None:
    copy = Copy(scratch, env={"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing"})

    assert copy.process.wait() == 1
    assert copy.output().startswith("Cannot prepare the database: ")
    assert copy.output().count(os.linesep) == 1


def _is_ready(copy: Copy) -> bool:
    try:
        return bool(copy.get("/readyz"))
    except OSError:
        return False
