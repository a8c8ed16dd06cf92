"""What a participant writes of its devices takes as many steps as it has devices, by PostgreSQL's own plans."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.models import JobDevice
from jobs.sql import store
from jobs.sql.device_signature import Batch, Begun, Note, Over, Stepped
from tests.fleet.parts import begun

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs("postgresql"),
    pytest.mark.usefixtures("postgresql"),
]

_DEVICES = 3000
_IN_HAND = 50


@pytest.mark.parametrize("what", ["over", "stepped", "begun", "noted"])
def test_its_devices_are_not_compared_with_each_other(what: str) -> None:
    """The statistics are those of earlier jobs: of the participants that they know, none is this one."""
    run, taken = begun([f"sw{number}" for number in range(_DEVICES)], take=_IN_HAND)
    rows = JobDevice.objects.filter(job_id=run.job_id)
    rows.update(participant=uuid4())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_jobdevice")
    rows.filter(id__in=[one.id for one in taken]).update(participant=run.run_token)
    ids = [one.id for one in taken]
    with CaptureQueriesContext(connection) as asked, transaction.atomic():
        if what == "noted":
            store().note_steps(run, [Note(number, "commit", None, True, 0.1) for number in ids])
        else:
            store().write_devices(run, batch(what, ids))
        transaction.set_rollback(True)
    statements = [str(query["sql"]).strip() for query in asked.captured_queries]
    (sql,) = [sql for sql in statements if sql.startswith(("WITH", "EXECUTE"))]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".replace("%", "%%"))
        ((found,),) = cursor.fetchall()
    assert compared(found[0]["Plan"]) < 10 * _IN_HAND


def batch(what: str, ids: list[int]) -> Batch:
    return Batch(
        [Over(number, False, None, 0, "{}", None, 0.0) for number in ids] if what == "over" else [],
        [Stepped(number, 1) for number in ids] if what == "stepped" else [],
        [],
        [Begun(number, 0.1) for number in ids] if what == "begun" else [],
    )


def compared(plan: dict[str, Any]) -> int:
    """How many pairs of rows a join looked at and did not want."""
    own = int(plan.get("Rows Removed by Join Filter", 0))
    return own + sum(compared(part) for part in plan.get("Plans", []))
