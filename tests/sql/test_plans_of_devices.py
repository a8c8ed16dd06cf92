"""The work of writing a participant's devices grows only with their number, by PostgreSQL's own plans."""

from uuid import uuid4

import pytest
from django.db import connection

from jobs.models import JobDevice
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note, Over, Stepped
from tests.fleet.parts import begun
from tests.sql.plans import asked, plan_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("postgresql"),
    pytest.mark.usefixtures("postgresql"),
]

_IN_HAND = 50


@pytest.mark.parametrize("what", ["over", "stepped", "begun", "noted"])
def test_its_devices_are_not_compared_with_each_other(what: str) -> None:
    """The statistics are those of earlier jobs: of the participants that they know, none is this one."""
    run, taken = begun([f"sw{number}" for number in range(3000)], take=_IN_HAND)
    rows = JobDevice.objects.filter(job_id=run.job_id)
    rows.update(participant=uuid4())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_jobdevice")
    rows.filter(id__in=[one.id for one in taken]).update(participant=run.run_token)
    ids = [one.id for one in taken]
    notes = [Note(number, "commit", None, True, 0.1) for number in ids]
    (sql,) = asked(
        lambda: store().note_steps(run, notes) if what == "noted" else store().write_devices(run, batch(what, ids))
    )
    compared = sum(int(node.get("Rows Removed by Join Filter", 0)) for node in plan_of(sql))
    assert compared < 10 * _IN_HAND


def batch(what: str, ids: list[int]) -> Batch:
    return Batch(
        [Over(number, False, None, 0, "{}", None, 0.0) for number in ids] if what == "over" else [],
        [Stepped(number, 1) for number in ids] if what == "stepped" else [],
        [],
        [Begun(number, 0.1) for number in ids] if what == "begun" else [],
    )
