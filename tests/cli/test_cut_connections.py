"""``jobs wait`` when the server closes its connection: it goes on with another one."""

from collections.abc import Sequence
from itertools import count

import pytest
from django.db import connection

from jobs.cli import follow
from jobs.models import Job
from jobs.states import Status
from tests.factory import job_in
from tests.services import PostgreSQL


@pytest.mark.needs("postgresql")
def test_a_connection_that_the_server_ended_is_replaced(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    job = job_in(Status.RUNNING)
    looks, said = count(1), list[str]()

    def look(jobs: Sequence[Job]) -> None:
        assert [each.pk for each in jobs] == [job.pk]
        match next(looks):
            case 1:
                postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", connection.connection.info.backend_pid)
            case 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow.wait([job.pk], timeout=30, seen=look, say=said.append)
    assert len(said) == 1
    assert said[0].endswith("(waiting)")
