"""The marks of stopped processes: one that is gone gets one, one that was frozen removes it; old rows are deleted."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.beat.heartbeat import BeatHeartbeat
from jobs.liveness.lost import HeartbeatRow
from jobs.models import Heartbeat
from jobs.upkeep import rescue
from tests.factory import Worker, run_on
from tests.upkeep.watcher import Watcher

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


def said_lost(heard: list[Event]) -> list[object]:
    return [event.fields["worker"] for event in heard if event.action is JobAction.LOST]


def test_a_worker_that_was_only_frozen_clears_its_mark(watcher: Watcher, heard: list[Event]) -> None:
    worker, _ = Worker(), Worker("w2@host")
    for _ in range(20):
        watcher.look()
    assert worker.row.stopped_at is not None
    assert said_lost(heard) == ["w1@host", "w2@host"]
    worker.beat()
    watcher.look()
    assert worker.row.stopped_at is None


def test_a_row_whose_id_a_failover_gave_to_another_process_is_left_to_that() -> None:
    worker, other = Worker(), Worker("w2@host")
    before = Heartbeat.objects.filter(pk=other.row.pk).values().get()
    worker._heartbeat._row.row_id = other.row.pk
    worker.beat()
    assert worker.row.name == "w1@host"
    assert Heartbeat.objects.filter(pk=other.row.pk).values().get() == before


def test_a_worker_that_beats_while_it_is_given_up_gets_no_mark(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    lost = watcher.rescue._lost
    judged = lost.processes

    def judged_just_before_it_beats() -> list[HeartbeatRow]:
        gone = judged()
        for row in gone:
            assert row.id == worker.row.pk
            worker.beat()
        return gone

    monkeypatch.setattr(lost, "processes", judged_just_before_it_beats)
    before = worker.row.counter
    for _ in range(20):
        watcher.look()
    assert worker.row.counter == before + 1
    assert worker.row.stopped_at is None


def test_of_two_beats_one_marks_it_and_says_so(
    watcher: Watcher, heard: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    lost = watcher.rescue._lost
    judged, marked_at = lost.processes, database_now() - timedelta(seconds=1)

    def judged_just_before_another_marks_it() -> list[HeartbeatRow]:
        gone = judged()
        Heartbeat.objects.filter(pk__in=[row.id for row in gone]).update(stopped_at=marked_at)
        return gone

    monkeypatch.setattr(lost, "processes", judged_just_before_another_marks_it)
    for _ in range(20):
        watcher.look()
    assert (worker.row.stopped_at, said_lost(heard)) == (marked_at, [])


def test_a_beat_that_was_only_frozen_clears_its_mark(watcher: Watcher) -> None:
    beat = BeatHeartbeat()
    beat.step()
    marked = Heartbeat.objects.filter(kind="beat", stopped_at__isnull=False)
    for _ in range(20):
        watcher.look()
    assert marked.get().pk == beat.row_id
    beat.step()
    watcher.look()
    assert not marked.exists()
    assert Heartbeat.objects.filter(kind="beat").count() == 2  # the watcher's, and the row that it had before


def test_old_rows_of_heartbeats_are_deleted_unless_a_running_job_names_them(watcher: Watcher) -> None:
    week_ago = database_now() - timedelta(days=8)
    old, used, recent = Worker("old"), Worker("used"), Worker("recent")
    run_on(used)
    Heartbeat.objects.filter(pk__in=[old.row.pk, used.row.pk]).update(stopped_at=week_ago)
    Heartbeat.objects.filter(pk=recent.row.pk).update(stopped_at=database_now())
    watcher.look()
    assert set(Heartbeat.objects.filter(kind="worker").values_list("name", flat=True)) == {"used", "recent"}


def test_one_that_comes_back_while_old_rows_are_looked_up_keeps_its_row(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker()
    monkeypatch.setattr(rescue, "_old", SimpleNamespace(rows=lambda: [(worker.row.pk,)]))
    watcher.look()
    assert Heartbeat.objects.filter(kind="worker").exists()
