"""The checks of /readyz and of POSTs can fail."""

from dataclasses import replace

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, only
from tests.chaos.fabricated import START, Fabricated
from tests.chaos.record import Pause, Post, Probe

GOOD = {"database": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}


# --- /readyz and answers ----------------------------------------------------------------------------------------------


def _probe(run: Fabricated, at: float, *, seconds: float = 0.1, status: int = 200, **states: str) -> None:
    run.record.probes.append(Probe(at=START + at, seconds=seconds, status=status, states={**GOOD, **states}))


def test_readyz_may_need_a_while_to_see_a_fault(run: Fabricated) -> None:
    run.down("broker", 100, 130)
    _probe(run, 114)
    _probe(run, 120, status=503, broker="away")
    _probe(run, 140, status=503, broker="away")
    _probe(run, 146)
    assert fine(run).figures.probes == 4


@pytest.mark.parametrize("at", [116.5, 128.0])
def test_readyz_that_does_not_see_a_fault_is_found(run: Fabricated, at: float) -> None:
    run.down("broker", 100, 130)
    _probe(run, at)
    assert '"ok" of broker, which was not there' in only(Promise.TRUTH, run)


def test_readyz_that_still_sees_a_fault_long_past_is_found(run: Fabricated) -> None:
    run.down("database", 100, 130)
    _probe(run, 146, status=503, database="away")
    assert '"away" of database, which was there' in only(Promise.TRUTH, run)


def test_readyz_that_misses_the_death_of_every_worker_is_found(run: Fabricated) -> None:
    run.record.processes[0] = replace(run.record.processes[0], until=START + 100)
    run.record.pauses.append(Pause(pid=200, since=START + 90, until=START + 140))
    _probe(run, 116)
    assert '"ok" of worker, which was not there' in only(Promise.TRUTH, run)


def test_readyz_that_calls_a_live_beat_missing_is_found(run: Fabricated) -> None:
    _probe(run, 50, status=503, beat="missing")
    assert '"missing" of beat, which was there' in only(Promise.TRUTH, run)


@pytest.mark.parametrize(("seconds", "status"), [(2.5, 200), (10.0, 0)])
def test_readyz_that_is_slow_or_silent_is_found(run: Fabricated, seconds: float, status: int) -> None:
    _probe(run, 50, seconds=seconds, status=status)
    assert "no answer within 2 s" in only(Promise.TRUTH, run)


def test_readyz_of_a_dead_web_server_says_nothing(run: Fabricated) -> None:
    run.down("web", 49, 60)
    _probe(run, 50, seconds=10, status=0)
    assert fine(run).figures.probes == 0


def test_readyz_whose_status_belies_its_states_is_found(run: Fabricated) -> None:
    _probe(run, 50, status=503)
    assert "status 503 with" in only(Promise.TRUTH, run)


def _post(
    run: Fabricated, at: float, *, seconds: float = 0.1, status: int = 200, key: str = "k", job: int | None = 1
) -> None:
    run.record.posts.append(Post(at=START + at, seconds=seconds, status=status, key=key, job=job))


@pytest.mark.parametrize(("seconds", "status"), [(2.4, 200), (0.2, 500), (0.2, 503), (1.5, 503)])
def test_a_post_that_is_slow_or_refused_while_the_broker_is_down_is_found(
    run: Fabricated, seconds: float, status: int
) -> None:
    run.down("broker", 40, 60)
    _post(run, 50, seconds=seconds, status=status)
    only(Promise.POSTS, run)


def test_a_post_may_be_refused_while_the_database_is_away(run: Fabricated) -> None:
    run.down("database", 40, 60)
    _post(run, 50, seconds=1.5, status=503, job=None)
    fine(run)


def test_a_post_whose_transaction_the_database_ended_is_counted(run: Fabricated) -> None:
    _post(run, 50, seconds=1.2, status=503, job=None)
    assert fine(run).figures.starved == 1


@pytest.mark.parametrize("seconds", [0.9, 2.1])
def test_a_post_that_is_refused_sooner_or_too_late_is_found(run: Fabricated, seconds: float) -> None:
    _post(run, 50, seconds=seconds, status=503, job=None)
    only(Promise.POSTS, run)


def test_readyz_that_counts_workers_that_the_database_does_not_hear_is_found(run: Fabricated) -> None:
    for host in ("host1", "host2"):
        run.cut_off(host, "database", 100, 140)
    _probe(run, 110)
    assert fine(run).figures.probes == 1
    run.cut_off("host1", "database", 140, 160)
    run.record.processes[1] = replace(run.record.processes[1], until=START + 100)
    _probe(run, 150, status=503, worker="missing")
    fine(run)
