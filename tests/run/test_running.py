"""``make run`` as its user sees it: the first job, processes that come back, two copies side by side."""

import base64
import json
import re
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from urllib.error import HTTPError

import pytest

from tests.run.copy import Copy
from tests.services import PostgreSQL, RabbitMQ, scratch_directory
from tests.services.processes import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("redis")


@pytest.fixture(scope="module")
def running() -> Iterator[Copy]:
    """One copy for all tests of this module that leave it running."""
    directory = scratch_directory("run", in_memory=True)
    left_open = directory / "state" / "log" / "web.log"  # by mistake, before the first start
    left_open.parent.mkdir(parents=True)
    left_open.touch()
    for path in (left_open, *left_open.parents[:2]):
        path.chmod(0o777)
    copy = Copy(directory, env={"CNAASJOBS_JWT_LOGIN": "1"})
    copy.wait_for_first_job()
    yield copy
    copy.stop()
    rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def exposed(running: Copy, migrated_file: Path) -> Iterator[Copy]:
    """Another beside it, on all addresses, in a directory whose path is too long for a unix socket."""
    directory = scratch_directory("run", in_memory=True)
    long = directory / ("d" * 120) / "with space"
    jobs = directory / "own_jobs" / "tasks.py"
    jobs.parent.mkdir()
    jobs.write_text("")
    env = {"HOST": "0.0.0.0", "CNAASJOBS_APPS": "own_jobs", "PYTHONPATH": str(directory)}
    copy = Copy(directory, state=long, env=env, database=migrated_file)
    copy.wait_for_first_job()
    yield copy
    copy.stop()
    rmtree(directory, ignore_errors=True)


@pytest.fixture
def own_inventory(tmp_path: Path) -> Path:
    config = tmp_path / "config.yml"
    config.write_text("inventory: {plugin: SimpleInventory, options: {host_file: hosts.yml}}\n")
    (tmp_path / "hosts.yml").write_text('sw1: {platform: lab, password: "0123", data: {device_type: ACCESS}}\n')
    return config


def test_the_first_start_shows_what_its_dry_run_found(running: Copy) -> None:
    job, shown = running.wait_for_first_job(), running.output()

    assert (job["id"], job["status"], job["function_name"]) == (1, "FINISHED", "sync_devices (dry_run)")
    assert "First start: a dry run of the 6 devices of the lab, which changes nothing." in shown
    assert re.search(r"^Job 1 took \d+\.\d s: 6 of 6 devices would change$", shown, re.MULTILINE)
    for device in job["finished_devices"]:
        assert re.search(rf"^{device} +would change +\+\d+ -0 +\d+$", shown, re.MULTILINE)


def test_the_readme_shows_what_is_printed(running: Copy) -> None:
    shown = (ROOT / "README.md").read_text().partition("$ make run\n")[2].partition("```")[0].partition("Starting")[2]
    printed = running.output().replace(running.url, "http://127.0.0.1:8000")
    printed = printed.replace(str(running.state), "/home/ann/cnaasjobs/state")
    assert _without_what_varies(shown) in _without_what_varies(printed)


def _without_what_varies(text: str) -> str:
    return re.sub(r"took \S+ s|password \S+", "", text)


def test_it_says_where_everything_is_before_its_first_start_is_reported(running: Copy) -> None:
    before, _, after = running.output().partition("First start")

    for name, address in {"Console": "/", "Admin": "/admin/", "API": "/api/v1.0/docs"}.items():
        assert re.search(rf"^{name} +{re.escape(running.url + address)}$", before, re.MULTILINE)
    assert "Ready. Ctrl-C stops everything." in before
    assert after


def test_what_goes_into_a_file_has_no_colours_and_no_line_longer_than_a_curl(running: Copy) -> None:
    assert "\x1b" not in running.output()
    assert max(map(len, running.output().splitlines())) < 200


@pytest.mark.needs("curl")
def test_the_lines_to_try_do_what_they_say(running: Copy) -> None:
    lines = [line.strip() for line in running.output().splitlines() if line.startswith("  curl ")]
    said = [subprocess.run(f"{line} -s", shell=True, capture_output=True, text=True, check=True) for line in lines]
    jobs, scheduled, locks = (json.loads(one.stdout) for one in said)

    assert jobs["data"]["jobs"][0]["id"] == 1
    assert locks["status"] == "success"
    running.wait_for_job(scheduled["job_id"])
    job = running.get(f"/api/v1.0/job/{scheduled['job_id']}")["data"]["jobs"][0]
    assert (job["function_name"], job["start_arguments"]["dry_run"]) == ("sync_devices", False)


def test_it_prints_no_warning_and_no_traceback(running: Copy) -> None:
    assert not re.search("warning|traceback", running.output(), re.IGNORECASE)


def test_the_admin_password_is_printed_and_kept_for_its_owner_alone(running: Copy) -> None:
    for name in ("admin-password", "secret-key", "login-key"):
        assert stat.S_IMODE((running.state / name).stat().st_mode) == 0o600
    password = (running.state / "admin-password").read_text().strip()
    assert re.search(rf"^Sign in as +admin, password {re.escape(password)} \(kept in ", running.output(), re.MULTILINE)


def test_a_front_end_can_log_in_with_it_where_that_is_wanted(running: Copy) -> None:
    password = (running.state / "admin-password").read_text().strip()
    basic = base64.b64encode(f"admin:{password}".encode()).decode()
    made = running.post("/api/v1.0/auth", {}, Authorization=f"Basic {basic}")["access_token"]
    later = running.post("/api/v1.0/auth/refresh", {}, Authorization=f"Bearer {made}")["data"]["access_token"]
    assert later != made


def test_the_state_directory_is_for_its_owner_also_what_was_there_before(running: Copy) -> None:
    every = [running.state, *running.state.rglob("*")]
    assert {"web.log", "db.sqlite3", "broker.sock", "appendonlydir"} <= {path.name for path in every}
    assert [path for path in every if path.lstat().st_mode & 0o077] == []


PROGRAMS = ("celery worker", "celery beat", "gunicorn", "cnaasjobs.live", "cnaasjobs.run.splitter")


def test_each_killed_process_is_started_again(running: Copy) -> None:
    for program in PROGRAMS:
        _is_killed_and_comes_back(running, program.split())
    wait_until(lambda: _is_ready(running), timeout=60, interval=0.2, message=running.output)
    running.wait_for_job(running.sync())


def _is_killed_and_comes_back(running: Copy, words: list[str]) -> None:
    before = running.named(*words)
    before[0].kill()
    wait_until(lambda: not any(process.is_running() for process in before), timeout=20)
    wait_until(lambda: running.named(*words), timeout=20, interval=0.1, message=running.output)


def test_a_killed_broker_is_started_again(running: Copy) -> None:
    broker = [process for process in running.processes() if process.name() in {"redis-server", "valkey-server"}]
    broker[0].kill()

    wait_until(lambda: _is_ready(running), timeout=60, interval=0.2, message=running.output)
    running.wait_for_job(running.sync())


def test_another_copy_runs_beside_it(running: Copy, exposed: Copy) -> None:
    assert exposed.wait_for_first_job()["id"] == 1
    assert exposed.url != running.url
    assert exposed.get("/readyz")
    assert running.get("/readyz")


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
    another = f"make run PORT={int(port) + 1}"
    assert second.output() == f"Port {port} on 127.0.0.1 is in use: set PORT to another ({another})\n"


def test_an_invalid_port_is_refused_in_one_line(scratch: Path) -> None:
    copy = Copy(scratch, env={"PORT": "http"})

    assert copy.process.wait() == 1
    assert copy.output() == "PORT must be a number from 0 to 65535 (0: any free one), not 'http'\n"


def test_a_state_directory_too_long_for_a_socket_works(exposed: Copy) -> None:
    assert len(str(exposed.state)) > 108
    assert exposed.wait_for_first_job()["status"] == "FINISHED"


def test_beyond_loopback_a_token_is_required_and_printed(exposed: Copy) -> None:
    token = (exposed.state / "token").read_text().strip()

    with pytest.raises(HTTPError) as refused:
        exposed.get("/api/v1.0/jobs")
    refused.value.close()

    assert refused.value.code == 401
    assert exposed.get("/api/v1.0/jobs", Authorization=f"Bearer {token}")["status"] == "success"
    assert re.search(rf"^Token +{token} ", exposed.output(), re.MULTILINE)
    assert stat.S_IMODE((exposed.state / "token").stat().st_mode) == 0o600


def test_whoever_changes_a_job_is_told_that_the_one_before_runs(exposed: Copy) -> None:
    assert "has changed" not in exposed.output()
    jobs = Path(exposed.env["PYTHONPATH"]) / "own_jobs" / "tasks.py"
    jobs.write_text("changed = True")
    exposed.process.wait_for_output("own_jobs/tasks.py has changed. Restart to run it: Ctrl-C, then make run again.")


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
    assert [line.partition(":")[0] for line in copy.output().splitlines()] == [
        "Starting; the first start creates the database, which takes a few seconds",
        "Cannot prepare the database",
    ]
    assert "Connection refused" in copy.output()
    assert {log.name for log in (copy.state / "log").iterdir()} == {"broker.log", "prepare.log"}  # nothing was begun


def test_an_inventory_of_ones_own_is_announced_before_anybody_logs_in(
    scratch: Path, own_inventory: Path, migrated_file: Path
) -> None:
    copy = Copy(scratch, env={"NORNIR_CONFIG": str(own_inventory)}, database=migrated_file)
    try:
        copy.process.wait_for_output("it.\n", timeout=60)
        announced = " ".join(copy.output().partition("First start")[2].split())
        assert "with your own inventory: in 10 s a dry run of its 1 device begins (sw1). It logs in to" in announced
        copy.process.signal(signal.SIGINT)
        assert copy.process.wait(timeout=30) == 0
        with closing(sqlite3.connect(copy.state / "db.sqlite3")) as database:
            assert database.execute("SELECT count(*) FROM jobs_job").fetchone() == (0,)
    finally:
        copy.stop()


def _is_ready(copy: Copy) -> bool:
    try:
        return bool(copy.get("/readyz"))
    except HTTPError as answer:
        answer.close()
    except OSError:
        pass
    return False
