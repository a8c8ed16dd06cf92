"""Of two people who ask for the same at once, the second waits for the first, and is told what that one made."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from jobs.audit.trail import By
from jobs.models import Job
from jobs.operating import again, recurring
from jobs.operating.again import MadeMeanwhile
from jobs.states import CameOf, Status
from tests import fake_jobs
from tests.factory import every, job_row
from tests.waiting import wait_until


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.needs("postgresql")  # on SQLite, one writes at a time
@pytest.mark.usefixtures("_postgresql_to_use")
@pytest.mark.parametrize("asked", ["a schedule now", "a job again"])
def test_the_second_waits_until_the_first_has_committed(asked: str) -> None:
    row = every(60, task=fake_jobs.echo.name, kwargs='{"value": 7}')
    earlier = job_row(Status.FINISHED, task_name=fake_jobs.echo.name, start_arguments='{"value": 7}')

    def ask(who: str) -> Job:
        by = By(who=who, origin="", user=None)
        if asked == "a schedule now":
            return recurring.run(row, by=by, newest=earlier.pk)
        return again.run(again.proposal(earlier.pk, CameOf.AGAIN), by=by, seen=[])

    def ask_as_well() -> Job | str:
        try:
            return ask("bob")
        except MadeMeanwhile as exc:
            return str(exc)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            made = ask("ann")
            second = thread.submit(ask_as_well)
            wait_until(lambda: second.done() or somebody_waits())
        assert second.result() == f"The same was scheduled by ann meanwhile, as job {made.pk}"
