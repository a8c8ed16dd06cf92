"""Which connections the devices' threads of a run use."""

from typing import Any

import pytest
from django.db import connection

from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform_job

pytestmark = pytest.mark.django_db(transaction=True)

used: dict[str, Any] = {}


@job
def says_its_connections(ctx: JobContext, *, at_once: int) -> None:
    def one(device: str) -> None:
        with ctx.database():
            used[device] = connection.connection

    used["own"] = connection.connection
    ctx.each(["a", "b"], one, at_once=at_once)


@pytest.mark.parametrize(("at_once", "apart"), [(1, True), (2, False)])
def test_threads_have_a_connection_of_their_own_where_the_body_takes_devices_meanwhile(
    at_once: int, apart: bool
) -> None:
    assert perform_job(says_its_connections, at_once=at_once).status == Status.FINISHED
    assert used["a"] is used["b"]
    assert (used["a"] is not used["own"]) is (apart and store().shares_devices)
