"""/healthz and /readyz: they tell anybody the states, nothing else, and in time."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from django.test import Client
from django.utils import timezone

from jobs.api import health
from jobs.api.health import Check
from jobs.liveness.watched import Watched
from jobs.models import Heartbeat, Job
from tests.api import described
from tests.factory import heartbeat
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.distance import Distance
from tests.services.processes import Platform
from tests.waiting import takes_less_than, wait_until


@pytest.fixture(autouse=True)
def _fresh_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(health, "_watched", Watched())
    yield
    health._database.end()
    health._broker.end()
    health._way.drop()


def readyz() -> tuple[int, dict[str, str]]:
    response = Client().get("/readyz")
    described.check_at("GET", "/readyz", response.status_code, response.json())
    return response.status_code, response.json()["data"]


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
@pytest.mark.parametrize("host", ["evil.example.org", "a b", ""])
def test_healthz_needs_no_credentials_host_or_database(settings: Any, path: str, host: str) -> None:
    settings.ALLOWED_HOSTS = ["jobs.example.org"]
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    response = Client().get(path, headers={"Host": host, "Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200
    assert response.json() == {"status": "success", "data": {"process": "ok"}}
    described.check_at("GET", path, 200, response.json())


@pytest.mark.django_db(transaction=True)
def test_ready_when_all_four_are_there(broker: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["jobs.example.org"]
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    heartbeat("w1", kind="worker")
    heartbeat("b1", kind="beat")
    assert readyz() == (200, {"database": "ok", "worker": "ok", "beat": "ok", "broker": "ok"})


@pytest.mark.django_db(transaction=True)
def test_each_missing_process_is_named(broker: str) -> None:
    heartbeat("w1", kind="worker", stopped_at=timezone.now())
    heartbeat("b1", kind="beat", last_seen=timezone.now() - timedelta(seconds=11))
    assert readyz() == (503, {"database": "ok", "worker": "missing", "beat": "missing", "broker": "ok"})
    response = Client().get("/readyz").json()
    assert response["status"] == "error"
    assert response["message"] == "worker is missing, beat is missing"


@pytest.mark.django_db(transaction=True)
def test_a_counter_that_moves_is_alive_whatever_the_clock_says(broker: str) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    worker, beat = heartbeat("w1", kind="worker", last_seen=long_ago), heartbeat("b1", kind="beat")
    assert readyz()[1]["worker"] == "missing"
    Heartbeat.objects.filter(pk=worker.pk).update(counter=2)
    assert readyz()[1]["worker"] == "ok"
    assert readyz()[1]["beat"] == "ok", beat


def test_however_many_ask_one_thread_checks_and_nobody_waits_longer_than_said() -> None:
    release = threading.Event()
    runs = []

    def hang() -> dict[str, str]:
        runs.append(threading.current_thread())
        release.wait(30)
        return {"x": "ok"}

    check = Check("x", hang, {"x": "away"})
    with takes_less_than(2):
        asked, until = [check.start() for _ in range(20)], time.monotonic() + 0.2
        assert [check.finish(running, until) for running in asked] == [{"x": "away"}] * 20
    assert len(runs) == 1
    release.set()
    assert asked[0].result(5) == {"x": "ok"}
    assert check.finish(check.start(), time.monotonic() + 5) == {"x": "ok"}
    assert len(set(runs)) == 1
    check.end()
    assert not runs[0].is_alive()


def test_a_check_that_fails_is_tried_again() -> None:
    def fail() -> dict[str, str]:
        raise RuntimeError

    check = Check("x", fail, {"x": "away"})
    for _ in range(2):
        assert check.finish(check.start(), time.monotonic() + 5) == {"x": "away"}


def states_in_time(web: Platform) -> dict[str, str]:
    with takes_less_than(2, web.pids()):
        status, body, _ = web.get("/readyz", timeout=60)
    states: dict[str, str] = body["data"]
    assert (status == 200) == (set(states.values()) == {"ok"})
    assert web.get("/healthz")[0] == 200
    return states


def expect(web: Platform, name: str, state: str) -> None:
    wait_until(lambda: states_in_time(web)[name] == state, timeout=15)


@pytest.fixture
def beats(postgresql: PostgreSQL, django_db_blocker: Any) -> Iterator[None]:
    """Heartbeats of one worker and one Beat, whose counters grow in the database by themselves: alive."""
    ids = [heartbeat(kind, kind=kind).pk for kind in ("worker", "beat")]
    ended = threading.Event()

    def grow() -> None:
        while not ended.wait(0.5):
            try:
                postgresql.execute(
                    "UPDATE jobs_heartbeat SET counter = counter + 1, last_seen = clock_timestamp() WHERE id = ANY(%s)",
                    ids,
                )
            except psycopg2.Error:  # the database is away on purpose
                continue

    thread = threading.Thread(target=grow, daemon=True)
    thread.start()
    yield
    ended.set()
    postgresql.thaw()
    thread.join(10)


@pytest.mark.breaks_rabbitmq
@pytest.mark.needs("postgresql", "rabbitmq")
@pytest.mark.usefixtures("beats")
def test_readyz_tells_the_truth_in_time_while_postgresql_and_rabbitmq_are_frozen_down_or_blocking(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.web()
    expect(platform, "database", "ok")
    expect(platform, "broker", "ok")
    assert set(states_in_time(platform).values()) == {"ok"}

    postgresql.freeze()
    expect(platform, "database", "away")
    assert states_in_time(platform) == {"database": "away", "worker": "unknown", "beat": "unknown", "broker": "ok"}
    postgresql.thaw()
    expect(platform, "database", "ok")

    rabbitmq.freeze()
    expect(platform, "broker", "away")
    assert states_in_time(platform)["database"] == "ok"
    rabbitmq.thaw()
    expect(platform, "broker", "ok")

    rabbitmq.block_publishers()
    expect(platform, "broker", "away")
    rabbitmq.unblock_publishers()
    expect(platform, "broker", "ok")

    rabbitmq.stop()
    expect(platform, "broker", "away")
    rabbitmq.start()
    expect(platform, "broker", "ok")


@pytest.mark.needs("postgresql", "redis")
@pytest.mark.usefixtures("beats")
def test_readyz_tells_the_truth_in_time_while_redis_is_frozen_or_down_or_takes_nothing(
    redis: Redis, platform: Platform
) -> None:
    platform.web()
    expect(platform, "broker", "ok")
    redis.connect().config_set("maxmemory", "1")
    expect(platform, "broker", "away")
    redis.connect().config_set("maxmemory", "0")
    expect(platform, "broker", "ok")
    redis.freeze()
    expect(platform, "broker", "away")
    redis.thaw()
    expect(platform, "broker", "ok")
    redis.stop()
    expect(platform, "broker", "away")
    redis.start()
    expect(platform, "broker", "ok")


@pytest.mark.needs("postgresql", "rabbitmq")
def test_the_platform_is_ready_and_works_where_each_round_trip_takes_200_ms(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    with Distance(postgresql.url, round_trip=0.2) as database, Distance(rabbitmq.url, round_trip=0.2) as broker:
        platform.env |= {"DATABASE_URL": database.url, "CELERY_BROKER_URL": broker.url}
        platform.web()
        platform.worker()
        platform.beat()
        wait_until(lambda: platform.get("/readyz")[0] == 200, timeout=60, message=lambda: str(platform.get("/readyz")))
        assert {platform.get("/readyz")[0] for _ in range(20)} == {200}
        status, answer, _ = platform.post("/api/v1.0/device_syncto", {"all": True})
        assert status == 200, answer
        wait_until(lambda: Job.objects.filter(status="FINISHED").exists(), timeout=60)
        platform.stop()


@pytest.mark.needs("postgresql", "rabbitmq")
@pytest.mark.usefixtures("beats")
def test_a_check_goes_on_with_its_connections_and_makes_new_ones_only_when_they_were_cut(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, platform: Platform
) -> None:
    platform.web()
    wait_until(lambda: platform.get("/readyz")[0] == 200, timeout=30)

    def backends() -> set[int]:
        last = "SELECT pid FROM pg_stat_activity WHERE query = 'SHOW transaction_read_only'"
        return {pid for (pid,) in postgresql.execute(last)}

    before = backends()
    assert before
    assert {platform.get("/readyz")[0] for _ in range(10)} == {200}
    assert backends() == before
    postgresql.cut_connections()
    rabbitmq.cut_connections()
    assert platform.get("/readyz")[0] == 200
    assert backends().isdisjoint(before)


@pytest.mark.django_db(transaction=True)
def test_asking_while_it_is_not_ready_leaves_no_error_in_the_log(broker: str, caplog: pytest.LogCaptureFixture) -> None:
    assert readyz()[0] == 503
    assert caplog.records == []
