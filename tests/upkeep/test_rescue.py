"""Runs of workers that are gone end; those of a living worker never do."""

import os
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError

from cnaasjobs.db.clock import database_now
from jobs.lifecycle import transitions
from jobs.models import Heartbeat, Job, JobDevice
from jobs.sql import store
from jobs.testing import exception_of
from locks import service as locks
from tests import fake_jobs
from tests.factory import Worker, run_on
from tests.fleet.parts import begun, joined, taking_part
from tests.switching import database_fails
from tests.upkeep.watcher import Watcher

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def test_a_silent_worker_s_run_ends_as_worker_lost_with_its_name_and_last_sight(watcher: Watcher) -> None:
    worker = Worker()
    job, run = run_on(worker)
    worker.beat(run)
    assert [watcher.look() for _ in range(15)] == [0] * 15  # 28 s
    assert watcher.look() == 1
    job.refresh_from_db()
    assert (job.status, job.exception_type) == ("EXCEPTION", "WorkerLost")
    failure = exception_of(job)
    assert failure is not None
    assert f"w1@host (pid {os.getpid()})" in failure["message"]
    assert f"last seen at {worker.row.last_seen:%Y-%m-%d %H:%M:%S} UTC" in failure["message"]
    assert worker.row.stopped_at is not None


def test_a_rescued_job_s_lock_is_free_and_the_next_in_line_is_on_its_way(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker, fake_jobs.with_lock)
    worker.beat(run)
    following = fake_jobs.with_lock.schedule()
    Job.objects.filter(pk=following.pk).update(parked=True, dispatched_at=None, waiting_since=database_now())
    while not watcher.look():
        pass
    following.refresh_from_db()
    assert not locks.held().exists()
    assert not following.parked
    assert following.dispatched_at is not None


def test_a_job_declared_rerun_if_lost_goes_back_in_line(watcher: Watcher) -> None:
    job, _ = run_on(Worker(), fake_jobs.rerun_if_lost)
    while not watcher.look():
        pass
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("SCHEDULED", 1)


def test_a_living_worker_s_run_is_never_rescued(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    for _ in range(200):
        worker.beat(run)
        assert watcher.look() == 0


def test_a_worker_that_beats_just_in_time_is_not_lost(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    worker.beat(run)
    for look in range(1, 100):
        if look % 15 == 0:
            worker.beat(run)
        assert watcher.look() == 0


def test_a_database_that_takes_no_writes_makes_nobody_look_lost(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    worker.beat(run)
    watcher.look()  # this Beat has a heartbeat, which then stays as it is
    assert sum(watcher.look(own_beats=False) for _ in range(100)) == 0
    assert sum(watcher.look() for _ in range(10)) == 0  # it takes them again: everybody gets the time to catch up
    worker.beat(run)
    assert sum(watcher.look() for _ in range(10)) == 0


def test_an_outage_of_the_database_does_not_count(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    worker.beat(run)
    for _ in range(8):
        watcher.look()

    with database_fails():
        for _ in range(300):
            with pytest.raises(OperationalError):
                watcher.look(own_beats=False)
    assert sum(watcher.look() for _ in range(7)) == 0
    worker.beat(run)
    assert sum(watcher.look() for _ in range(15)) == 0


def test_the_time_that_this_beat_was_frozen_does_not_count(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    worker.beat(run)
    watcher.look()
    assert watcher.look(seconds=3600) == 0
    assert watcher.look() == 0


def test_a_jump_of_the_database_s_clock_rescues_nobody(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    for hours in (1, -1, 24):
        worker.beat(run)
        Heartbeat.objects.update(last_seen=database_now() - timedelta(hours=hours))
        assert watcher.look() == 0


def test_a_run_that_its_living_worker_lists_now_and_then_is_not_lost(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    for _ in range(5):
        for runs in ([run], [], []):
            worker.beat(*runs)
            assert watcher.look() == 0


def test_a_run_that_its_living_worker_dropped_is_ended(watcher: Watcher) -> None:
    worker = Worker()
    job, run = run_on(worker)
    worker.beat(run)
    watcher.look()
    looks = 0
    while True:
        worker.beat()  # the run is not among those in progress any more
        looks += 1
        if watcher.look():
            break
    assert looks == 4
    failure = exception_of(Job.objects.get(pk=job.pk))
    assert failure is not None
    assert failure["type"] == "WorkerLost"
    assert "no longer runs it" in failure["message"]


def test_a_run_claimed_between_two_heartbeats_is_not_missed(watcher: Watcher) -> None:
    worker = Worker()
    for _ in range(20):
        worker.beat()  # written just before the claim
        job, run = run_on(worker)
        assert watcher.look() == 0
        worker.beat()  # made before the claim, written after it
        assert watcher.look() == 0
        worker.beat(run)
        assert watcher.look() == 0
        Job.objects.filter(pk=job.pk).delete()


def test_one_heartbeat_seen_again_and_again_is_one_heartbeat(watcher: Watcher) -> None:
    worker = Worker()
    run_on(worker)
    worker.beat()
    assert sum(watcher.look(seconds=1.0) for _ in range(20)) == 0


def test_one_look_after_many_heartbeats_is_not_enough(watcher: Watcher) -> None:
    worker = Worker()
    run_on(worker)
    worker.beat()
    watcher.look()
    for _ in range(10):
        worker.beat()
    assert watcher.look() == 0


@pytest.mark.parametrize("known", [True, False], ids=["its row was deleted", "it never had one"])
def test_a_run_of_a_worker_without_a_heartbeat_is_ended(watcher: Watcher, known: bool) -> None:
    worker = Worker() if known else None
    job, _ = run_on(worker)
    Heartbeat.objects.filter(kind="worker").delete()
    assert sum(watcher.look() for _ in range(15)) == 0
    assert sum(watcher.look() for _ in range(2)) == 1
    assert Job.objects.get(pk=job.pk).exception_type == "WorkerLost"


def test_a_participant_of_a_worker_without_a_heartbeat_has_the_same_time(watcher: Watcher) -> None:
    begun(take=1)
    assert sum(watcher.look() for _ in range(15)) == 0
    assert sum(watcher.look() for _ in range(2)) == 1


def test_a_run_listed_by_a_worker_whose_row_was_made_anew_is_alive(watcher: Watcher) -> None:
    worker = Worker()
    _, run = run_on(worker)
    worker.row.delete()
    again = Worker()
    for _ in range(40):
        again.beat(run)
        assert watcher.look() == 0


def _frozen_until_its_run_was_taken(watcher: Watcher) -> Worker:
    worker = Worker()
    _, run = run_on(worker)
    worker.beat(run)
    while not watcher.look():
        pass
    return worker


def test_a_worker_that_was_only_frozen_may_claim_before_it_beats_again(watcher: Watcher) -> None:
    worker = _frozen_until_its_run_was_taken(watcher)
    _, run = run_on(worker)
    assert sum(watcher.look() for _ in range(15)) == 0
    worker.beat(run)
    assert sum(watcher.look() for _ in range(15)) == 0


def test_a_run_that_a_lost_worker_claimed_at_its_last_is_ended(watcher: Watcher) -> None:
    worker = _frozen_until_its_run_was_taken(watcher)
    run_on(worker)
    assert [watcher.look() for _ in range(17)] == [0] * 15 + [1, 0]


def test_a_participant_is_lost_with_its_own_worker_and_nobody_else_is(watcher: Watcher) -> None:
    lives, dies = Worker("w1@host"), Worker("w2@host")
    run, _ = begun(worker_id=lives.row.pk, take=1)
    helper = joined(run, worker="w2@host", worker_id=dies.row.pk)
    store().take_devices(helper, 2)
    dies.beat(helper)
    for _ in range(40):
        lives.beat(run)
        watcher.look()
    job = Job.objects.get(pk=run.job_id)
    assert (job.status, job.run_token) == ("RUNNING", run.run_token)
    assert taking_part(run) == {run.run_token}
    assert JobDevice.objects.filter(failed=True, worker="w2@host").count() == 2
    assert dies.row.stopped_at is not None
    # The named one dies: the run is the helper's that lives.
    helper = joined(run, worker="w3@host", worker_id=(third := Worker("w3@host")).row.pk)
    for _ in range(40):
        third.beat(helper)
        watcher.look()
    job.refresh_from_db()
    assert (job.status, job.run_token, job.worker) == ("RUNNING", helper.run_token, "w3@host")


def test_a_participant_whose_loss_could_not_be_written_is_lost_at_the_next_look(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker has the mark of those that are gone by then."""
    lives, dies = Worker("w1@host"), Worker("w2@host")
    run, _ = begun(worker_id=lives.row.pk, take=1)
    helper = joined(run, worker="w2@host", worker_id=dies.row.pk)
    dies.beat(helper)
    lose = transitions.lose

    def fails_once(*_: object, **__: object) -> bool:
        monkeypatch.setattr(transitions, "lose", lose)
        raise DataError("its rows are locked")

    monkeypatch.setattr(transitions, "lose", fails_once)
    while dies.row.stopped_at is None:
        lives.beat(run)
        watcher.look()
    assert taking_part(run) == {run.run_token, helper.run_token}
    lives.beat(run)
    watcher.look()
    assert taking_part(run) == {run.run_token}


@pytest.mark.parametrize("lives", [False, True], ids=["its worker is gone", "its process alone"])
def test_a_run_that_nobody_joins_ends_after_the_same_time(watcher: Watcher, lives: bool) -> None:
    worker = Worker()
    run, _ = begun(worker_id=worker.row.pk, repeats=True, take=1)
    worker.beat(run)
    looks = 0
    while Job.objects.get(pk=run.job_id).status == "RUNNING":
        if lives:
            worker.beat()
        watcher.look()
        looks += 1
        assert looks < 60
    assert looks > (15 if lives else 25)  # until it is judged lost, and 30 s for others to come
    assert Job.objects.get(pk=run.job_id).exception_type == "WorkerLost"
    assert not locks.held().exists()
