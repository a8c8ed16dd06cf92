"""Old jobs are deleted, the longest finished first; nothing else is."""

from datetime import timedelta
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.models import AuditEntry, Fleet, IdempotencyKey, Job, JobDevice, JobOutcome, Participant
from jobs.sql import totals
from jobs.states import Status
from jobs.upkeep import prune
from jobs.upkeep.prune import Prune
from tests.factory import job_in

pytestmark = pytest.mark.django_db(transaction=True)


def finished(days_ago: float, status: Status = Status.FINISHED) -> int:
    job = job_in(status)
    Job.objects.filter(pk=job.pk).update(finish_time=database_now() - timedelta(days=days_ago))
    return job.pk


def left() -> set[int]:
    return set(Job.objects.values_list("pk", flat=True))


def test_nothing_is_pruned_unless_it_was_asked_for() -> None:
    finished(10_000)
    assert Prune().step() == 0


def test_each_terminal_state_has_its_own_retention(settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 10
    finished(11)
    kept = {finished(9), finished(1000, Status.EXCEPTION), job_in(Status.SCHEDULED).pk, job_in(Status.RUNNING).pk}
    assert Prune().step() == 1
    assert left() == kept
    assert JobOutcome.objects.count() == 2
    settings.CNAASJOBS_RETENTION_EXCEPTION_DAYS = 0.5
    assert Prune().step() == 1
    assert JobOutcome.objects.count() == 1


@pytest.mark.usefixtures("each_database")
def test_what_belongs_to_a_job_goes_with_it(settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 10
    old, young = finished(11), finished(9)
    for job_id in (old, young):
        Fleet.objects.create(job_id=job_id, helpers=0, repeats=True, all_or_none=False)
        Participant.objects.create(job_id=job_id, worker="celery@test", joined_at=database_now())
        JobDevice.objects.bulk_create(JobDevice(job_id=job_id, place=n, host=f"sw{n}") for n in range(3))
    assert Prune().step() == 1
    assert set(JobDevice.objects.values_list("job_id", flat=True)) == {young}
    assert list(Fleet.objects.values_list("pk", flat=True)) == [young]
    assert Participant.objects.get().job_id == young


def test_a_batch_is_no_larger_than_its_device_rows_allow(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_DEVICES", 5)
    jobs = [finished(days) for days in (9, 8, 7, 6)]
    for job_id, devices in zip(jobs, (2, 3, 1, 8), strict=True):
        JobDevice.objects.bulk_create(JobDevice(job_id=job_id, place=n, host=f"sw{n}") for n in range(devices))
    step, before = Prune(), database_now() - timedelta(days=1)
    assert [step._batch(Status.FINISHED, before) for _ in range(4)] == [jobs[:2], jobs[2:3], jobs[3:], []]


def test_batches_begin_with_the_longest_finished(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_BATCH", 2)
    oldest_last = [finished(days) for days in (2, 5, 3, 4)]
    step = Prune()
    assert step._batch(Status.FINISHED, database_now() - timedelta(days=1)) == [oldest_last[1], oldest_last[3]]
    assert step._batch(Status.FINISHED, database_now() - timedelta(days=1)) == [oldest_last[2], oldest_last[0]]


def test_a_step_ends_with_its_time(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_BATCH", 1)
    monkeypatch.setattr(prune, "_SECONDS", 0.0)
    finished(5)
    assert Prune().step() == 0
    assert len(left()) == 1


def test_a_full_batch_is_followed_by_as_long_a_pause(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_BATCH", 2)
    for _ in range(5):
        finished(2)
    seconds = iter(range(100))  # each look at the clock is a second later
    pauses: list[float] = []
    assert Prune(clock=lambda: float(next(seconds)), sleep=pauses.append).step() == 5
    assert pauses == [1.0, 1.0]


def test_a_pause_is_no_longer_than_the_step_may_go_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_BATCH", 1)
    finished(2)
    seconds = iter(range(0, 1000, 14))  # a batch takes 14 s
    pauses: list[float] = []
    assert Prune(clock=lambda: float(next(seconds)), sleep=pauses.append).step() == 1
    assert len(pauses) == 1
    assert 0 < pauses[0] <= prune._SECONDS


def test_the_kept_total_stays_exact(settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    for days in (0, 0, 5, 5, 5):
        finished(days)
    totals.advance()
    totals.advance()
    assert Prune().step() == 3
    assert totals.total(Job.objects.all()) == 2


def test_idempotency_keys_go_after_a_day_and_audit_entries_stay(settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    for hours in (30, 25, 23, 1):
        IdempotencyKey.objects.create(
            user="u", key=str(hours), body_hash="", response="{}", created=database_now() - timedelta(hours=hours)
        )
    AuditEntry.objects.create(time=database_now() - timedelta(days=999), who="u", origin="-", action="scheduled")
    Prune().step()
    assert set(IdempotencyKey.objects.values_list("key", flat=True)) == {"23", "1"}
    assert AuditEntry.objects.count() == 1


def test_once_an_hour_it_looks_at_all_of_them_again(settings: Any) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    now = 0.0
    step = Prune(clock=lambda: now, sleep=lambda _: None)
    finished(5)
    assert step.step() == 1
    finished(9)  # loaded from elsewhere
    assert step.step() == 0
    now = 3601.0
    assert step.step() == 1


def test_a_batch_that_its_device_rows_cut_short_is_not_the_last(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_DEVICES", 1)
    for days in (3, 2):
        JobDevice.objects.create(job_id=finished(days), place=0, host="sw1")
    assert Prune(sleep=lambda _: None).step() == 2


def test_it_looks_at_few_jobs_more_than_it_has_room_for(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs with many devices: to count the devices of a hundred of them costs more than to delete two."""
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = 1
    monkeypatch.setattr(prune, "_DEVICES", 2)
    looked_at: list[int] = []
    few_rows = prune._few_rows

    def noted(jobs: list[Job]) -> list[Job]:
        looked_at.append(len(jobs))
        return few_rows(jobs)

    monkeypatch.setattr(prune, "_few_rows", noted)
    for days in range(13, 1, -1):
        JobDevice.objects.create(job_id=finished(days), place=0, host="sw1")
    assert Prune(sleep=lambda _: None).step() == 12
    assert looked_at == [12, 4, 4, 4, 4, 2]
