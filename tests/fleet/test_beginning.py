"""A run that is over when it reaches its devices writes no rows for them, and deletes none."""

import pytest
from django.db import transaction

from jobs.lifecycle import transitions
from jobs.models import Job, JobDevice, Participant
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import NewFleet, Taken
from jobs.states import JobDeviceState
from tests.factory import claimed
from tests.fake_jobs import fleets
from tests.fleet.parts import in_thread, lose
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def begin(run: Run) -> list[Taken] | None:
    fleet = NewFleet(helpers=3, repeats=True, all_or_none=False, fingerprint="alike")
    return store().begin_devices(run, fleet, ["a", "b"], take=2, worker_id=None)


def tried_again(run: Run) -> Run:
    assert transitions.retry(run, due=0, reason="again")
    return claimed(Job.objects.get(pk=run.job_id))


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_process_that_begins_while_the_run_is_ended_has_no_devices(postgresql: object, attempt: int) -> None:
    """The database may still carry out the statement of a process that was killed."""
    run = claimed(fleets.each.schedule(hosts=["a", "b"]))
    if attempt == 2:
        assert begin(run)
        run = tried_again(run)
    before = list(JobDevice.objects.order_by("id").values())
    over: list[bool] = []

    def beginning() -> list[Taken] | None:
        try:
            return begin(run)
        finally:
            over.append(True)

    with transaction.atomic():
        assert lose(run)
        begun = in_thread(beginning)
        wait_until(lambda: over or Job.objects.raw("SELECT 1 AS id FROM pg_locks WHERE NOT granted"))
    assert begun() is None
    assert list(JobDevice.objects.order_by("id").values()) == before  # of the attempt before, where there was one
    assert not Participant.objects.filter(pk=run.run_token).exists()


@pytest.mark.usefixtures("each_database")
def test_a_process_that_was_taken_for_lost_clears_nothing_of_a_later_attempt() -> None:
    """It was frozen before it came to its devices."""
    lost = tried_again(claimed(fleets.each.schedule(hosts=["a", "b"])))
    run = tried_again(lost)
    taken = begin(run)
    assert len(taken or []) == 2
    assert begin(run) == taken  # its answer was lost
    assert begin(lost) is None
    assert set(JobDevice.objects.values_list("state", "participant")) == {(JobDeviceState.TAKEN.value, run.run_token)}
    assert store().fleet_standing(run).is_mine
