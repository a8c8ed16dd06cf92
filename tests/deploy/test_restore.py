"""A dump that is restored into a new server, by the commands of the production docs: jobs go on there."""

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app

from cnaasjobs.db.clock import database_now
from jobs.dispatch.scheduling import schedule
from jobs.models import Job
from locks import service as locks
from tests.deploy.files import ROOT
from tests.factory import Worker, run_on
from tests.fake_jobs import add, with_lock
from tests.services import PostgreSQL
from tests.services.postgresql import _places
from tests.services.processes import Platform
from tests.switching import on_database, purge_broker
from tests.waiting import wait_until

SECTION = (ROOT / "docs" / "production.md").read_text().partition("## Backup and restore\n")[2].partition("\n## ")[0]
QUICK = {
    "CNAASJOBS_HEARTBEAT_SECONDS": "0.3",
    "CNAASJOBS_UPKEEP_SECONDS": "0.3",
    "CNAASJOBS_WORKER_LOST_SECONDS": "2",
    "CNAASJOBS_REPUBLISH_AFTER_SECONDS": "0.5",
}


def run(programs: str, server: PostgreSQL, directory: Path) -> None:
    """The lines of the docs that call one of these programs, as they stand there."""
    lines = re.findall(rf"^(?:{programs}) .+$", SECTION, re.M)
    assert lines, f"the docs do not say how to use {programs}"
    address = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "cnaasjobs", "DATABASE_URL": server.url}
    path = os.pathsep.join([*_places(), os.environ["PATH"]])
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=directory, env={"PATH": path, **address}, check=True)


@pytest.mark.needs("postgresql")
def test_after_a_restore_jobs_go_on(postgresql: PostgreSQL, broker: str, scratch: Path) -> None:
    later = schedule(add, {"a": 2, "b": 3}, at=database_now() + timedelta(seconds=2))
    sent = add.schedule(a=1, b=1)
    running, its_run = run_on(worker := Worker(), with_lock)
    worker.beat(its_run)
    run("pg_dump", postgresql, scratch)
    after_the_dump = add.schedule(a=0, b=0)
    purge_broker([current_app.conf.task_default_queue])  # as the docs say

    with PostgreSQL(scratch / "new") as new:
        new.drop_database(new.database)
        run("createdb|pg_restore|psql|vacuumdb", new, scratch)
        assert new.execute("SELECT 1 FROM pg_stats WHERE tablename = 'jobs_job'")
        platform = Platform(database_url=new.url, broker_url=broker, directory=scratch, env=QUICK)
        try:
            with on_database(new.url):
                platform.beat()
                platform.worker()
                _ends(later, "FINISHED")
                _ends(sent, "FINISHED")
                _ends(running, "EXCEPTION")
                assert Job.objects.get(pk=running.pk).exception_type == "WorkerLost"
                assert not locks.held().exists()
                again = add.schedule(a=4, b=4)
                assert again.pk > after_the_dump.pk  # a client that asks for that one gets no other
                _ends(again, "FINISHED")
                assert again.outcome.result == '{"sum": 8}'
        finally:
            platform.kill()


def _ends(job: Job, status: str) -> None:
    wait_until(lambda: Job.objects.get(pk=job.pk).status == status, timeout=60, message=lambda: f"{job} has not ended")
