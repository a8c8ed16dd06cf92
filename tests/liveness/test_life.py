"""Which processes seem alive: the same rule for one row and for a query."""

from datetime import timedelta

import pytest
from pytest_django import Settings

from cnaasjobs.db.clock import database_now
from jobs.liveness.life import Life, alive, life_of, served_queues, with_life
from jobs.models import Heartbeat

pytestmark = pytest.mark.django_db


def heartbeat(name: str, *, age: float, stopped: bool = False, kind: str = "worker", queues: str = "[]") -> None:
    now = database_now()
    Heartbeat.objects.create(
        kind=kind,
        name=name,
        pid=1,
        queues=queues,
        started_at=now - timedelta(days=1),
        last_seen=now - timedelta(seconds=age),
        stopped_at=now if stopped else None,
    )


@pytest.fixture(autouse=True)
def _three_lives(settings: Settings) -> None:
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 30.0
    heartbeat("alive", age=20, queues='["default"]')
    heartbeat("silent", age=40, queues='["slow"]')
    heartbeat("stopped", age=1, stopped=True, queues='["old"]')
    heartbeat("beat", age=1, kind="beat")


@pytest.mark.parametrize("life", Life)
def test_a_query_and_a_row_in_hand_are_judged_alike(life: Life) -> None:
    found = Heartbeat.objects.filter(with_life(life), kind="worker")
    assert [beat.name for beat in found] == [life.value]
    assert [life_of(beat, now=database_now()) for beat in found] == [life]


def test_alive_is_asked_for_one_kind() -> None:
    assert [beat.name for beat in alive("worker")] == ["alive"]
    assert [beat.name for beat in alive("beat")] == ["beat"]


def test_a_silent_worker_still_serves_its_queues_and_a_stopped_one_does_not() -> None:
    assert served_queues() == {"default", "slow"}
