"""Who may listen by socket.io, to what, for how long; and who does not say who they are."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import requests
from django.contrib.auth.models import Permission, User
from django.test import Client
from knox.models import AuthToken
from websocket import ABNF, create_connection

from cnaasjobs.identity import own
from cnaasjobs.live import admission, front_ends, strangers
from jobs.feed import Kind
from jobs.models import JobLog
from jobs.states import Status
from tests.factory import job_in
from tests.identity.conftest import login
from tests.live.conftest import Live
from tests.live.front_end import INFO, WARNING, Connect, connect, subscribed, token_of, tokens_required
from tests.waiting import stays, wait_until

__all__ = ["connect", "login", "tokens_required"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("tokens_required")
def test_a_wrong_token_is_refused_in_words(connect: Connect) -> None:
    with pytest.raises(ConnectionError, match="Invalid token"):
        connect("wrong")


@pytest.mark.usefixtures("tokens_required")
def test_a_session_is_no_token(connect: Connect) -> None:
    browser = Client()
    browser.force_login(token_of("view_job")[0])
    with pytest.raises(ConnectionError, match="credentials"):
        connect("", Cookie=f"sessionid={browser.cookies['sessionid'].value}")


def test_nobody_is_looked_at_again_before_it_is_time(
    connect: Connect, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a client's credentials, nor whether a stranger has said who it is."""
    asked: list[Any] = []

    def admit(*_: Any, **given: Any) -> frozenset[Kind]:
        asked.append(given)
        return frozenset(Kind)

    monkeypatch.setattr(admission, "admit", admit)
    subscribed(connect(), live)
    sid = json.loads(handshake(live)[1][1:])["sid"]
    stays(lambda: len(asked) == 1 and sid in live.front_ends.server.eio.sockets, seconds=0.9)


def test_nothing_is_kept_of_what_a_client_said_before_it_went(live: Live) -> None:
    asyncio.run(live.front_ends._subscribe("gone", {"update": "job"}))
    assert live.front_ends._clients == {}
    assert live.front_ends._waiting("gone") == 0


@pytest.mark.parametrize("goodbye", ["41", "1"], ids=["by socket.io", "by engine.io"])
def test_a_client_that_leaves_while_it_is_being_admitted_is_gone(
    live: Live, monkeypatch: pytest.MonkeyPatch, goodbye: str
) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def admit(*_: object, **__: object) -> frozenset[Kind]:
        asked.set()
        assert may_answer.wait(20)
        return frozenset(Kind)

    monkeypatch.setattr(admission, "admit", admit)
    url = f"{live.url}/socket.io/?EIO=4&transport=polling&jwt=null"
    sid = json.loads(requests.get(url, timeout=10).text[1:])["sid"]
    with ThreadPoolExecutor() as pool:
        comes = pool.submit(requests.post, f"{url}&sid={sid}", data="40", timeout=20)
        assert asked.wait(20)
        requests.post(f"{url}&sid={sid}", data=goodbye, timeout=10)
        may_answer.set()
        comes.result()
    assert live.front_ends._clients == {}
    assert live.front_ends._poller.listening == 0


@pytest.mark.usefixtures("tokens_required")
def test_a_client_is_disconnected_when_its_token_is_taken_back(
    connect: Connect, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_ends, "AGAIN_SECONDS", 0.2)
    client = subscribed(connect(token_of("view_job")[1]), live)
    AuthToken.objects.all().delete()
    wait_until(lambda: not client.client.connected)


@pytest.mark.usefixtures("tokens_required")
def test_a_client_hears_no_more_of_what_a_permission_that_is_taken_back_allowed(
    connect: Connect, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may still see locks stays connected, and hears nothing of jobs any more."""
    monkeypatch.setattr(front_ends, "AGAIN_SECONDS", 0.1)
    user, token = token_of("view_job", "view_lock")
    client = connect(token)
    client.subscribe(loglevel="DEBUG")
    client.subscribe(sync="all")
    subscribed(client, live)
    connection = next(iter(live.front_ends._clients.values()))
    user.user_permissions.set(Permission.objects.filter(codename="view_lock"))
    wait_until(lambda: connection.kinds == {Kind.LOCK})
    client.got.clear()
    other = connect(AuthToken.objects.create(User.objects.create_superuser("boss"))[1])
    other.subscribe(loglevel="DEBUG")
    other.subscribe(update="job")
    job = job_in(Status.FINISHED)
    JobLog.objects.create(job=job, lines=2, size=9, text=json.dumps([WARNING, INFO]))
    wait_until(lambda: other.updates(job) and len(other.lines()) == 2)
    assert client.client.connected
    assert client.got == []


@pytest.mark.usefixtures("login")
def test_a_client_is_disconnected_when_the_user_of_its_jwt_is_deactivated(
    connect: Connect, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_ends, "AGAIN_SECONDS", 0.2)
    user, _ = token_of("view_job")
    client = subscribed(connect(own.issued_to("ann", user.password)), live)
    User.objects.update(is_active=False)
    wait_until(lambda: not client.client.connected)


def test_a_page_of_another_site_may_not_connect(connect: Connect) -> None:
    with pytest.raises(ConnectionError, match="not an accepted origin"):
        connect(Origin="https://evil.example")
    assert connect(Origin="http://localhost:5173").client.connected


@pytest.mark.parametrize(
    ("origin", "host", "dev", "allowed"),
    [
        ("https://front.example", "api.example", False, True),
        ("https://api.example", "api.example", False, True),
        ("https://api.example:8443", "api.example", False, False),
        ("https://other.example", "api.example", False, False),
        ("http://localhost:8080", "api.example", False, False),
        ("http://localhost:8080", "localhost", True, True),
        ("http://ui.localhost:8080", "localhost", True, True),
        ("http://[", "localhost", True, False),
        ("null", "localhost", True, False),
        (None, "api.example", False, True),  # no browser
    ],
)
def test_only_pages_of_allowed_origins_may_connect(
    settings: Any, origin: str | None, host: str, dev: bool, allowed: bool
) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = not dev
    settings.CNAASJOBS_CORS_ORIGINS = ["https://front.example"]
    assert front_ends._may_come_from(origin, {"HTTP_HOST": host}) is allowed


# --- strangers --------------------------------------------------------------------------------------------------------


def handshake(live: Live) -> tuple[int, bytes]:
    """A socket whose client never says who it is."""
    answer = requests.get(f"{live.url}/socket.io/?EIO=4&transport=polling", timeout=30)
    return answer.status_code, answer.content


@pytest.mark.usefixtures("tokens_required")
def test_only_so_many_clients_may_connect_before_they_say_who_they_are(
    live: Live, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST", 3)
    known = connect(token_of("view_job")[1])
    assert [handshake(live)[0] for _ in range(5)] == [200, 200, 200, 401, 401]
    assert known.client.connected


@pytest.mark.usefixtures("tokens_required")
def test_a_client_that_does_not_say_who_it_is_is_disconnected(
    live: Live, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "SECONDS", 0.1)
    known = connect(token_of("view_job")[1])
    sid = json.loads(handshake(live)[1][1:])["sid"]
    wait_until(lambda: sid not in live.front_ends.server.eio.sockets)
    silent = create_connection(f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket", timeout=30)
    with closing(silent):
        sid = json.loads(silent.recv()[1:])["sid"]
        wait_until(lambda: sid not in live.front_ends.server.eio.sockets)
    stays(lambda: known.client.connected, seconds=0.5)


def test_a_stranger_has_at_least_the_time_between_two_looks(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "SECONDS", 1000.0)
    sid = json.loads(handshake(live)[1][1:])["sid"]
    asyncio.run(live.front_ends.server.part_with_strangers())
    assert sid in live.front_ends.server.eio.sockets


def test_a_message_that_is_too_large_ends_the_connection(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "SECONDS", 1000.0)  # not what closes it
    talks = create_connection(f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket", timeout=30)
    with closing(talks):
        sid = json.loads(talks.recv()[1:])["sid"]
        talks.send("4" + "x" * 200_000)
        wait_until(lambda: sid not in live.front_ends.server.eio.sockets)


def test_a_message_in_parts_that_is_too_large_is_refused(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a last part that may never come."""
    monkeypatch.setattr(strangers, "SECONDS", 1000.0)
    talks = create_connection(f"ws://127.0.0.1:{live.port}/socket.io/?EIO=4&transport=websocket", timeout=30)
    with closing(talks):
        sid = json.loads(talks.recv()[1:])["sid"]
        talks.send_frame(ABNF.create_frame("4" + "x" * 60_000, ABNF.OPCODE_TEXT, 0))
        talks.send_frame(ABNF.create_frame("x" * 60_000, ABNF.OPCODE_CONT, 0))
        wait_until(lambda: sid not in live.front_ends.server.eio.sockets)


@pytest.mark.parametrize(("size", "status"), [(strangers.LARGEST_MESSAGE, 200), (strangers.LARGEST_MESSAGE + 1, 400)])
def test_a_post_that_is_too_large_is_refused(live: Live, size: int, status: int) -> None:
    sid = json.loads(handshake(live)[1][1:])["sid"]
    url = f"{live.url}/socket.io/?EIO=4&transport=polling&sid={sid}"
    assert requests.post(url, b"4" + b"x" * (size - 1), timeout=20).status_code == status


def test_a_client_that_says_what_cannot_be_read_is_answered(live: Live) -> None:
    """The library would wait until this client takes its last message, and keep the request for as long."""
    sid = json.loads(handshake(live)[1][1:])["sid"]
    refused = requests.post(f"{live.url}/socket.io/?EIO=4&transport=polling&sid={sid}", b"6", timeout=20)
    assert refused.status_code == 400
    assert sid not in live.front_ends.server.eio.sockets
