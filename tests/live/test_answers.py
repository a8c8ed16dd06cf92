"""What the events process answers beside its streams, and how it ends."""

import asyncio
import http.client
import json
from contextlib import closing
from typing import Any

import pytest
from django.db import Error, connection

from cnaasjobs.live import application
from cnaasjobs.live.database import Database
from tests.live.conftest import Live

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = "/api/v1.0/events"


def answer(live: Live, method: str, path: str = EVENTS) -> tuple[int, Any, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", live.port, timeout=20)) as client:
        client.request(method, path)
        reply = client.getresponse()
        body = reply.read()
        client.request("OPTIONS", path)  # the connection is free again
        assert client.getresponse().status in (200, 404)
        return reply.status, reply.headers, body


def test_a_head_ends_at_once(live: Live) -> None:
    status, headers, body = answer(live, "HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Type"].startswith("text/event-stream")
    assert live.front_ends._poller.listening == 0


@pytest.mark.parametrize(("method", "path", "status"), [("POST", EVENTS, 405), ("GET", "/nowhere", 404)])
def test_what_is_not_there_is_said_as_the_api_says_it(live: Live, method: str, path: str, status: int) -> None:
    got, headers, body = answer(live, method, path)
    assert (got, json.loads(body)["status"]) == (status, "error")
    assert headers["Cache-Control"] == "no-store"
    if status == 405:
        assert "GET" in headers["Allow"]


def test_a_stranger_is_told_how_to_authenticate(live: Live, settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    status, headers, _ = answer(live, "GET")
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")


def test_while_the_database_is_away_it_says_so(live: Live, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Error("away")

    monkeypatch.setattr(Database, "ask", away)
    status, headers, body = answer(live, "GET")
    assert (status, headers["Retry-After"]) == (503, "2")
    assert json.loads(body) == {"status": "error", "message": "The database is away, try again later"}


def test_the_process_ends_with_a_task_that_ended() -> None:
    """Nobody would hear anything any more; a supervisor begins it anew."""

    async def fails() -> None:
        raise LookupError("ours")

    async def serves() -> None:
        asyncio.create_task(fails()).add_done_callback(application._ended)
        await asyncio.Event().wait()

    with pytest.raises(SystemExit):
        asyncio.run(serves())


def test_at_its_end_tasks_are_cancelled_in_peace() -> None:
    complaints: list[Any] = []

    async def serves() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
        task = asyncio.create_task(asyncio.sleep(1000))
        task.add_done_callback(application._ended)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(serves())
    assert complaints == []


@pytest.mark.needs("postgresql")
def test_a_query_whose_connection_was_gone_is_repeated_once(postgresql: Any) -> None:
    def session(ends: int | None = None) -> int:
        with connection.cursor() as cursor:
            if ends is not None:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [ends])
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    async def asks() -> tuple[int, int]:
        database, other = Database(), Database()
        first = await database.ask(session)
        await other.ask(session, ends=first)
        second = await database.ask(session)
        database.close()
        other.close()
        return first, second

    first, second = asyncio.run(asks())
    assert first != second
