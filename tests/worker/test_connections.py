"""A pool child keeps its database connection from task to task, and notices when it is broken."""

import pytest
from django.db import connection

from jobs.testing import result_of
from tests.fake_jobs.lasting import backend_pid
from tests.services import PostgreSQL
from tests.worker.conftest import StartWorker, wait_for_status


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("how", ["restart", "crash", "cut"])
def test_the_connection_is_kept_until_postgresql_restarts(
    postgresql: PostgreSQL, start_worker: StartWorker, how: str
) -> None:
    start_worker(concurrency=1)
    before = [result_of(wait_for_status(backend_pid.schedule(), "FINISHED")) for _ in range(3)]
    assert len(set(before)) == 1
    if how == "restart":
        postgresql.restart()
    elif how == "crash":
        postgresql.kill()
        postgresql.start()
    else:
        postgresql.cut_connections()
    connection.close()
    after = [result_of(wait_for_status(backend_pid.schedule(), "FINISHED")) for _ in range(3)]
    assert len(set(after)) == 1
    assert after != before
