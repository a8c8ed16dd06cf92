"""While the database is away every call answers 503 within 2 s, and a POST answered so has scheduled nothing."""

import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.signals import request_started
from django.db import OperationalError, connection
from psycopg2 import extensions

from cnaasjobs.db import bounded_waits, limits
from jobs.models import Job
from tests.services import PostgreSQL
from tests.services.distance import Distance
from tests.services.processes import Platform
from tests.services.relay import Relay
from tests.switching import on_database
from tests.waiting import takes_less_than, wait_until

CALLS = [
    ("GET", "/api/v1.0/jobs", None),
    ("GET", "/api/v1.0/job/1", None),
    ("PUT", "/api/v1.0/job/1", {"action": "ABORT"}),
    ("GET", "/api/v1.0/joblocks", None),
    ("DELETE", "/api/v1.0/joblocks", {"name": "devices"}),
    ("POST", "/api/v1.0/device_syncto", {"all": True}),
    ("POST", "/api/v1.0/device_syncto", {"all": True, "start_at": "2050-01-01"}),
]
SYNC = ("POST", "/api/v1.0/device_syncto", {"all": True})


def expect_503(web: Platform, calls: Any = CALLS, **headers: str) -> None:
    for method, path, body in calls:
        with takes_less_than(2, web.pids()):
            status, answer, received = web.request(method, path, body, headers=headers, timeout=60)
        assert (status, answer) == (503, {"status": "error", "message": "The database is away, try again later"})
        assert received["Content-Type"] == "application/json"
        assert received["Retry-After"]


def expect_back(web: Platform) -> None:
    wait_until(lambda: web.get("/api/v1.0/jobs")[0] == 200, timeout=10)
    assert web.get("/api/v1.0/joblocks")[0] == 200


@pytest.mark.needs("postgresql")
def test_every_call_gets_a_503_while_the_database_is_frozen_or_stopped_and_works_again_after(
    postgresql: PostgreSQL, platform: Platform
) -> None:
    platform.web()
    expect_back(platform)
    postgresql.freeze()
    expect_503(platform)
    expect_503(platform, CALLS[:1], Authorization="Bearer x")
    with ThreadPoolExecutor(16) as pool:  # more than there are threads for it
        list(pool.map(lambda _: expect_503(platform, CALLS[:1]), range(8)))
    postgresql.thaw()
    expect_back(platform)
    postgresql.stop()
    expect_503(platform)
    postgresql.start()
    expect_back(platform)
    assert Job.objects.count() == 0


@pytest.mark.needs("postgresql")
def test_a_token_gets_a_503_while_the_database_is_frozen_and_no_token_a_401(
    postgresql: PostgreSQL, platform: Platform
) -> None:
    platform.web(env={"CNAASJOBS_REQUIRE_TOKEN": "1"})
    assert platform.get("/api/v1.0/jobs")[0] == 401
    assert platform.get("/api/v1.0/jobs", headers={"Authorization": "Bearer x"})[0] == 401
    postgresql.freeze()
    expect_503(platform, Authorization="Bearer x")
    assert platform.get("/api/v1.0/jobs")[0] == 401
    assert platform.get("/api/v1.0/nothing")[0] == 404


@pytest.mark.needs("postgresql")
def test_cut_connections_are_made_anew_without_an_error(postgresql: PostgreSQL, platform: Platform) -> None:
    platform.web()
    for _ in range(3):
        assert platform.get("/api/v1.0/jobs")[0] == 200
        postgresql.cut_connections()


@pytest.mark.needs("postgresql")
def test_server_that_takes_no_new_connections_still_serves_the_old(postgresql: PostgreSQL, platform: Platform) -> None:
    platform.web()
    assert platform.get("/api/v1.0/jobs")[0] == 200
    assert postgresql.process is not None
    postmaster = next(process for process in postgresql.process.tree() if process.name() == "postgres")
    postmaster.suspend()
    try:
        assert platform.get("/api/v1.0/jobs")[0] in (200, 503)
    finally:
        postmaster.resume()
    expect_back(platform)


@pytest.mark.needs("postgresql")
def test_a_post_answered_503_has_scheduled_nothing(postgresql: PostgreSQL, platform: Platform) -> None:
    """Many POSTs while the server freezes and crashes again and again: each hits some of them inside COMMIT."""
    platform.web()
    accepted: list[int] = []
    refused: list[int] = []
    ended, pids = threading.Event(), platform.pids()

    def post() -> None:
        while not ended.is_set():
            with takes_less_than(2.5, pids):
                status, body, _ = platform.request(*SYNC, timeout=60)
            assert status in (200, 503), body
            (accepted if status == 200 else refused).append(body.get("job_id", 0))

    with ThreadPoolExecutor(8) as pool:
        posting = [pool.submit(post) for _ in range(8)]
        try:
            for _ in range(4):
                seen = len(accepted)
                wait_until(lambda seen=seen: len(accepted) > seen + 20, timeout=20)  # type: ignore[misc]
                count = len(refused)
                postgresql.freeze()
                wait_until(lambda count=count: len(refused) > count + 8, timeout=20)  # type: ignore[misc]
                postgresql.thaw()
            for _ in range(2):
                seen = len(accepted)
                wait_until(lambda seen=seen: len(accepted) > seen + 20, timeout=20)  # type: ignore[misc]
                postgresql.kill()
                postgresql.start()
        finally:
            ended.set()
        for thread in posting:
            thread.result(20)
    wait_until(
        lambda: Job.objects.count() == len(accepted),
        timeout=10,
        message=lambda: f"{sorted(set(accepted) ^ set(Job.objects.values_list('id', flat=True)))} {len(accepted)}",
    )
    assert set(Job.objects.values_list("id", flat=True)) == set(accepted)
    assert len(refused) > 8


def _begin_request() -> None:
    """As ``cnaasjobs.wsgi`` and Django do."""
    bounded_waits.new_request()
    request_started.send(sender=None)


def _backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


class TestBoundWaits:
    @pytest.fixture(autouse=True)
    def _bounded(self, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
        monkeypatch.setattr(limits, "_of_this_process", {})
        bounded_waits.bound_waits()
        bounded_waits.new_request()
        connection.close()
        yield
        connection.close()
        extensions.set_wait_callback(None)

    @pytest.mark.needs("postgresql")
    def test_a_slow_query_is_not_a_database_that_is_away(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(2.5)")
            cursor.execute("SELECT repeat('x', 30000000)")
            assert len(cursor.fetchone()[0]) == 30_000_000

    @pytest.mark.needs("postgresql")
    def test_a_database_that_is_far_away_is_not_away(
        self, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A new connection takes longer there than the usual probe."""
        monkeypatch.setattr(bounded_waits, "_quickest", float("inf"))
        with Distance(postgresql.url, round_trip=0.25) as far, on_database(far.url), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(2)")

    @pytest.mark.needs("postgresql")
    def test_even_a_slow_query_ends_at_its_longest_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bounded_waits, "LONGEST", 1.5)
        with takes_less_than(5), connection.cursor() as cursor, pytest.raises(OperationalError):
            cursor.execute("SELECT pg_sleep(20)")

    @pytest.mark.needs("postgresql")
    def test_of_several_hosts_one_that_says_nothing_is_tried_last(self, postgresql: PostgreSQL) -> None:
        with Relay(postgresql.port) as silent:
            silent.cut()
            both = f"127.0.0.1:{silent.port},127.0.0.1:{postgresql.port}"
            with on_database(postgresql.url.replace(f"127.0.0.1:{postgresql.port}", both)):
                with pytest.raises(OperationalError):
                    connection.ensure_connection()
                with connection.cursor() as cursor:  # while it is slow, the host that runs it is asked, not the other
                    cursor.execute("SELECT pg_sleep(1)")

    @pytest.mark.needs("postgresql")
    def test_a_frozen_server_is_given_up_and_found_again(self, postgresql: PostgreSQL) -> None:
        assert bounded_waits.answers(1.0)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        postgresql.freeze()
        with takes_less_than(2):
            assert not bounded_waits.answers(0.3)
            with pytest.raises(OperationalError):
                Job.objects.count()
        connection.close()
        with takes_less_than(0.5), pytest.raises(OperationalError):  # what was found out holds for the whole request
            Job.objects.count()
        postgresql.thaw()
        bounded_waits.new_request()
        assert Job.objects.count() == 0

    @pytest.mark.needs("postgresql")
    def test_a_connection_that_the_server_ended_is_left_before_the_next_request(self, postgresql: PostgreSQL) -> None:
        before = _backend()
        postgresql.execute("SELECT pg_terminate_backend(%s, 5000)", before)
        _begin_request()
        assert _backend() != before

    @pytest.mark.needs("postgresql")
    def test_a_connection_on_which_the_server_spoke_is_left(self, postgresql: PostgreSQL) -> None:
        before = _backend()
        with connection.cursor() as cursor:
            cursor.execute("LISTEN spoken")
        postgresql.execute("NOTIFY spoken")
        assert select.select([connection.connection], [], [], 5)[0]
        _begin_request()
        assert _backend() != before

    @pytest.mark.needs("postgresql")
    def test_a_connection_that_works_is_asked_nothing(self, postgresql: PostgreSQL) -> None:
        before = _backend()
        _begin_request()
        last = "SELECT query FROM pg_stat_activity WHERE pid = %s"
        assert "pg_backend_pid" in postgresql.execute(last, before)[0][0]
        connection.cursor().close()
        assert "pg_backend_pid" in postgresql.execute(last, before)[0][0]

    @pytest.mark.needs("postgresql")
    def test_a_commit_that_a_frozen_server_finds_when_it_goes_on_is_rolled_back(self, postgresql: PostgreSQL) -> None:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO locks_lock (name, fence) VALUES ('x', 0)")
        postgresql.freeze()
        with pytest.raises(OperationalError):
            connection.commit()
        connection.close()
        postgresql.thaw()
        bounded_waits.new_request()
        wait_until(
            lambda: not postgresql.execute("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%'"), timeout=10
        )
        assert postgresql.execute("SELECT count(*) FROM locks_lock") == [(0,)]
