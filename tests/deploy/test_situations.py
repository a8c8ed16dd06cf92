"""The situations of docs/troubleshooting.md are created: the first command shows each, the next one fixes it.

The lines are taken from the page as they stand there. Of what needs systemd only the command of the unit is run.
"""

import io
import os
import re
import shlex
import subprocess
import threading
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final

import psycopg2
import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from knox.models import AuthToken

from cnaasjobs.command_line import main
from jobs.api.health import _database_states
from jobs.audit import trail
from jobs.audit.seal import Seal
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.models import AuditEntry, Job
from jobs.states import Status
from locks import service as locks
from tests import fake_jobs
from tests.deploy.files import SITUATIONS
from tests.factory import device_row, hold_lock, job_in, job_row, job_rows
from tests.fake_jobs.lasting import wait_for_file
from tests.services import PostgreSQL, RabbitMQ
from tests.services.postgresql import _places
from tests.services.processes import Platform
from tests.switching import forget_broker_connections
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS: Final = 60.0
QUICK: Final = {
    "CNAASJOBS_HEARTBEAT_SECONDS": "0.3",
    "CNAASJOBS_UPKEEP_SECONDS": "0.3",
    "CNAASJOBS_WORKER_LOST_SECONDS": "2",
}


@pytest.fixture(autouse=True)
def _is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django sets up logging anew for each command."""
    monkeypatch.setattr("django.setup", lambda: None)


def lines(situation: str, program: str) -> list[str]:
    found = [line for line in SITUATIONS[situation] if program in line]
    assert found, f"{situation}: no {program}"
    return found


def managed(line: str, **given: object) -> str:
    """What a line of ``manage.py`` shows, with these in place of the page's examples."""
    for example, value in given.items():
        line = line.replace(example.replace("job", "4711").replace("id", "<id>"), str(value))
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            ended = main(shlex.split(line.partition(".venv/bin/python ")[2]))
        except SystemExit as exc:
            ended = exc.code
    return f"{out.getvalue()}{ended or ''}"


def psql(line: str, server: PostgreSQL, **given: object) -> "subprocess.CompletedProcess[str]":
    for example, value in given.items():
        line = line.replace(f"<{example}>", str(value))
    line = line.replace("cnaasjobs RESET", f"{server.database} RESET")
    env = {"PATH": os.pathsep.join([*_places(), os.environ["PATH"]]), "DATABASE_URL": server.url}
    return subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, check=False, timeout=SECONDS)


# --- jobs and locks ---------------------------------------------------------------------------------------------------


def test_a_lock_is_held_and_nothing_moves() -> None:
    job = job_in(Status.RUNNING)
    hold_lock("devices", job)
    show, abort, clear = lines("A lock is held, and nothing moves", "manage.py")
    assert re.search(rf"^devices +{job.pk} ", managed(show), re.M)
    assert "told to stop" in managed(abort, job=job.pk)
    assert f"cleared; job {job.pk} held it" in managed(clear)
    assert not locks.held().exists()


def test_a_sync_failed_on_some_devices() -> None:
    job = job_row(task_name=fake_jobs.nothing.name)
    device_row(job, "a1")
    device_row(job, "a2", reason="no route")
    show, again = lines("A sync failed on some devices", "manage.py")
    shown = managed(show, job=job.pk)
    assert "a2" in shown
    assert "no route" in shown
    assert re.search(rf"^job \d+: nothing, as job {job.pk}$", managed(again, job=job.pk), re.M)


def test_a_token_is_in_the_wrong_hands() -> None:
    AuthToken.objects.create(User.objects.create_user("ann"))
    show, revoke = lines("A token is in the wrong hands", "manage.py")
    key = managed(show).split()[0]
    assert f"Revoked {key} of ann" in managed(revoke, id=key)
    assert not AuthToken.objects.exists()


def test_the_audit_trail_does_not_verify() -> None:
    trail.add(Deed.SCHEDULED, who="ann", origin="10.0.0.1", job_id=1, detail="probe")
    step = Seal()
    step.step()
    step.step()
    (show,) = lines("The audit trail does not verify", "manage.py")
    assert "1 entries are sealed and intact" in managed(show)
    AuditEntry.objects.update(who="eve")
    assert "The audit trail is not intact" in managed(show)


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.needs("curl")
def test_processes_that_are_away_or_hang(platform: Platform) -> None:
    """A job that does not start, /readyz, a job that hangs: a worker is missing, is started, and is killed."""
    platform.env |= QUICK
    platform.web()
    platform.beat()
    waiting = scheduling.schedule(fake_jobs.nothing, {})
    (show,) = lines("A job does not start", "manage.py")
    assert "No live worker serves its queue default." in managed(show)
    (readyz,) = lines("`/readyz` answers 503", "curl")
    asked = shlex.split(readyz.replace("https://jobs.example.org", platform.url))
    answer = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert re.search(r'"worker": ?"(?!ok)', answer), answer

    assert any("cnaasjobs-worker@b" in line for line in SITUATIONS["A job does not start"])
    worker = platform.worker("b")
    wait_until(lambda: Job.objects.get(pk=waiting.pk).status == Status.FINISHED, timeout=SECONDS)

    hanging = scheduling.schedule(wait_for_file, {"path": str(platform.directory / "never"), "seconds": 600})
    wait_until(lambda: Job.objects.get(pk=hanging.pk).status == Status.RUNNING, timeout=SECONDS)
    show, kill = lines("A job hangs and can't be aborted", "")[:2]
    assert kill == "systemctl kill --signal=SIGKILL cnaasjobs-worker@a"
    shown: list[str] = []
    following = threading.Thread(target=_followed, args=(show, hanging.pk, shown))
    following.start()
    worker.kill_tree()
    following.join(SECONDS)  # it ends with the job
    assert shown
    assert Job.objects.get(pk=hanging.pk).exception_type == "WorkerLost"


def _followed(line: str, job_id: int, shown: list[str]) -> None:
    try:
        call_command(*shlex.split(line.partition("manage.py ")[2].replace("4711", str(job_id))), stdout=io.StringIO())
        shown.append("it ended")
    finally:
        connections.close_all()


# --- the database and the broker --------------------------------------------------------------------------------------


@pytest.mark.needs("postgresql")
def test_the_database_takes_no_writes(postgresql: PostgreSQL) -> None:
    guard = f"ALTER DATABASE {postgresql.database} SET default_transaction_read_only = on"
    postgresql.execute(guard, database="postgres")
    show, promote, raise_ids, mend = lines("The database takes no writes", "psql")
    assert re.search(r"f +\| on", psql(show, postgresql).stdout)
    assert "recovery is not in progress" in psql(promote, postgresql).stderr  # it is no standby
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        postgresql.execute("CREATE TABLE probe ()")
    assert psql(mend, postgresql).stdout == "ALTER DATABASE\n"
    postgresql.execute("CREATE TABLE probe ()")
    assert psql(raise_ids, postgresql).returncode == 0
    assert job_in(Status.SCHEDULED).pk > 10_000


@pytest.mark.needs("postgresql")
def test_commits_wait_for_a_standby(postgresql: PostgreSQL) -> None:
    show, mend = lines("Commits wait for a standby", "psql")
    postgresql.set("synchronous_standby_names", "away")
    try:
        waiting = subprocess.Popen(["psql", postgresql.url, "-c", "CREATE TABLE probe ()"], stdout=subprocess.DEVNULL)
        wait_until(lambda: re.search(r"^ +1$", psql(show, postgresql).stdout, re.M), timeout=SECONDS)
        assert _database_states() == {"database": "waits for its standby", "worker": "unknown", "beat": "unknown"}
        assert psql(mend, postgresql).returncode == 0
        assert waiting.wait(timeout=SECONDS) == 0
    finally:
        postgresql.set("synchronous_standby_names", "")


@pytest.mark.needs("postgresql")
def test_requests_are_answered_503_and_the_database_lives(postgresql: PostgreSQL) -> None:
    show, mend = lines("Requests are answered 503, and the database lives", "psql")
    with closing(postgresql.connect()) as somebody:
        somebody.autocommit = False
        somebody.cursor().execute("LOCK TABLE jobs_job")
        counting = ["psql", postgresql.url, "-c", "SELECT count(*) FROM jobs_job"]
        waiting = subprocess.Popen(counting, stdout=subprocess.DEVNULL)
        pid = somebody.info.backend_pid
        waits = re.compile(rf"\{{{pid}\}}")
        wait_until(lambda: waits.search(psql(show, postgresql).stdout), timeout=SECONDS)
        pids = [row.split("|")[0].strip() for row in psql(show, postgresql).stdout.splitlines()]
        (waiter,) = [row for row in psql(show, postgresql).stdout.splitlines() if waits.search(row)]
        assert pids.index(str(pid)) < pids.index(waiter.split("|")[0].strip())  # the older one is first
        assert psql(mend, postgresql, pid=pid).returncode == 0
        assert waiting.wait(SECONDS) == 0


@pytest.mark.needs("postgresql")
def test_the_commands_for_a_large_database_show_the_table_and_vacuum_it(postgresql: PostgreSQL) -> None:
    show, vacuum = lines("The database is large", "psql")
    job_rows(3000)  # more than PostgreSQL's own tables
    assert "jobs_job" in psql(show, postgresql).stdout
    assert psql(vacuum, postgresql).stdout == "VACUUM\n"


@pytest.mark.needs("rabbitmq")
def test_a_queue_was_declared_otherwise_and_nobody_serves_it(rabbitmq: RabbitMQ) -> None:
    """Two situations: a queue without consumers, and one without priorities."""

    def ctl(line: str) -> str:
        _, verb, *arguments = shlex.split(line)
        return rabbitmq.ctl(verb, "--vhost", rabbitmq.vhost, *arguments)

    with current_app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_declare("default", durable=True, auto_delete=False)
        scheduling.schedule(fake_jobs.nothing, {})
        (consumers,) = lines("The broker is away, or lost its messages", "rabbitmqctl")
        wait_until(lambda: re.search(r"^default\tclassic\t1\t0$", ctl(consumers), re.M), timeout=SECONDS)
        show, mend = lines("Priorities do nothing", "rabbitmqctl")
        assert re.search(r"^default\tclassic\t\[", ctl(show), re.M)
        assert "x-max-priority" not in ctl(show)
        ctl(mend)
        forget_broker_connections()
        scheduling.schedule(fake_jobs.nothing, {})
        assert "x-max-priority" in ctl(show)


BY_SYSTEMD_ALONE: Final = {"A process does not start", "Live pages stand still"}


def test_every_situation_is_tried_here() -> None:
    text = Path(__file__).read_text()
    untried = {name for name in SITUATIONS if f'"{name}"' not in text}
    assert untried == set()
    assert SITUATIONS.keys() >= BY_SYSTEMD_ALONE
