"""The provider's keys: when and how often they are fetched, what is kept, and how long a fetch may take."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnaasjobs.identity import fetching, key_sources
from cnaasjobs.identity.fetching import MAX_BYTES, fetched
from cnaasjobs.identity.key_sources import FRESH_SECONDS, FileKeys, KeysAway, UrlKeys
from tests.identity.issuer import Served, ec_key, jwks, private_pem, public_pem, rsa_key, serving_keys
from tests.waiting import wait_until

COOLDOWN = 30.0


class Provider:
    """Its keys, and a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.content: bytes | Exception = jwks(first=ec_key("first"))
        self.fetches = 0
        self.answers, self.answers_first = threading.Event(), threading.Event()
        self.answers.set()
        self.answers_first.set()
        self.keys = UrlKeys("https://login/keys", COOLDOWN, fetch=self._fetch, clock=lambda: self.now)

    def _fetch(self, url: str) -> bytes:
        self.fetches += 1
        content = self.content
        assert (self.answers if self.fetches > 1 else self.answers_first).wait(30)
        if isinstance(content, Exception):
            raise content
        return content

    def knows(self, kid: str) -> bool:
        return bool(self.keys.find(kid, "ES256"))


@pytest.fixture
def provider() -> Provider:
    return Provider()


def test_they_are_fetched_once_for_all(provider: Provider) -> None:
    assert provider.knows("first")
    assert provider.knows("first")
    assert provider.fetches == 1


def test_an_unknown_key_is_looked_for_once_in_a_cooldown_whatever_many_threads_ask(provider: Provider) -> None:
    assert provider.knows("first")
    provider.now += COOLDOWN
    provider.content = jwks(first=ec_key("first"), next=ec_key("next"))
    provider.answers.clear()
    with ThreadPoolExecutor(40) as threads:
        asked = [threads.submit(provider.knows, "next" if number % 2 else f"random{number}") for number in range(40)]
        wait_until(lambda: provider.fetches == 2)
        provider.answers.set()
        assert [each.result() for each in asked] == [bool(number % 2) for number in range(40)]
    assert not provider.knows("random")
    assert provider.fetches == 2
    provider.now += COOLDOWN
    assert not provider.knows("random")
    assert provider.fetches == 3


def test_nobody_waits_while_known_keys_are_fetched_anew(provider: Provider) -> None:
    assert provider.knows("first")
    provider.now += FRESH_SECONDS
    provider.answers.clear()
    provider.content = jwks(next=ec_key("next"))
    assert provider.knows("first")
    provider.answers.set()
    wait_until(lambda: not provider.knows("first"), message=lambda: "a key that was taken back goes on counting")
    assert provider.fetches == 2


def test_keys_go_on_being_used_while_the_provider_is_away(provider: Provider) -> None:
    assert provider.knows("first")
    provider.content = OSError("away")
    for _ in range(5):
        provider.now += FRESH_SECONDS
        fetches = provider.fetches + 1
        assert provider.knows("first")
        wait_until(lambda: provider.fetches == fetches)  # noqa: B023  (called at once)
    provider.now += COOLDOWN
    with pytest.raises(KeysAway):
        provider.knows("next")
    provider.content = jwks(next=ec_key("next"))
    with pytest.raises(KeysAway):
        provider.knows("next")
    provider.now += COOLDOWN
    assert provider.knows("next")


def test_a_provider_that_never_answered_is_not_one_without_the_key(provider: Provider) -> None:
    for content in (OSError("away"), b"<html>"):
        provider.content = content
        with pytest.raises(KeysAway):
            provider.knows("first")
        provider.now += COOLDOWN
    provider.content = jwks(first=ec_key("first"))
    assert provider.knows("first")


@pytest.mark.parametrize("ends", ["with older keys", "with an error"])
def test_nobody_waits_for_a_provider_that_hangs_beyond_the_limit(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    if ends == "with an error":
        provider.content = OSError("away")
    provider.answers_first.clear()
    with monkeypatch.context() as patched:
        patched.setattr(key_sources, "WAIT_SECONDS", 0.01)
        with pytest.raises(KeysAway):
            provider.knows("first")
        provider.now += 1.0
        with pytest.raises(KeysAway):
            provider.knows("first")
    wait_until(lambda: provider.fetches == 1)
    hangs = next(thread for thread in threading.enumerate() if thread.name == "identity-keys")
    provider.now += COOLDOWN  # it is given up
    provider.content = jwks(next=ec_key("next"))
    assert provider.knows("next")
    provider.answers_first.set()
    hangs.join()
    assert provider.knows("next"), "what it brought in the end was older"
    assert not provider.knows("other"), "the last fetch did not fail"


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[Served]:
    with serving_keys() as found:
        yield found


def test_keys_are_fetched_over_http_once(served: Served) -> None:
    keys = UrlKeys(served.url, COOLDOWN)
    assert len(keys.find("first", "ES256")) == 1
    assert keys.find("first", "RS256") == []
    assert served.asked == ["/keys"]


@pytest.mark.parametrize("size", [0, 1])
def test_an_answer_that_is_too_large_is_refused(served: Served, size: int) -> None:
    served.content += b" " * (MAX_BYTES - len(served.content) + size)
    if size == 0:
        assert len(fetched(served.url)) == MAX_BYTES
        return
    with pytest.raises(ValueError, match="more than"):
        fetched(served.url)


def test_a_redirect_is_not_followed(served: Served) -> None:
    served.status, served.headers = 302, {"Location": "/elsewhere"}
    with pytest.raises(OSError, match="302"):
        fetched(served.url)
    assert served.asked == ["/keys"]


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_provider_is_raised(served: Served, status: int) -> None:
    served.status = status
    with pytest.raises(OSError, match=str(status)):
        fetched(served.url)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    """Each byte comes well within the limit of one read; of the body, or already of the head."""
    monkeypatch.setattr(fetching, "WAIT_SECONDS", 0.5)
    left = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(head)
            try:
                while not left.wait(0.02):
                    connection.sendall(b" ")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        with pytest.raises(TimeoutError, match="not complete"):
            fetched(f"http://127.0.0.1:{listener.getsockname()[1]}/keys")
        left.set()
        thread.join()


# --- from a file ------------------------------------------------------------------------------------------------------


def write(path: Path, content: bytes, *, at: int) -> None:
    path.write_bytes(content)
    os.utime(path, (at, at))


@pytest.mark.parametrize("make", [lambda: jwks(first=ec_key("first")), lambda: public_pem(ec_key("first"))])
def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "keys"
    write(path, make(), at=1)
    keys = FileKeys(path)
    (first,) = keys.find("first", "ES256")
    write(path, public_pem(ec_key("next")) + public_pem(rsa_key("second")), at=2)
    (found,) = keys.find("first", "ES256")
    assert found.public != first.public
    assert len(keys.find("first", "RS256")) == 1
    write(path, b"half of it", at=3)
    assert keys.find("first", "ES256") == [found]
    path.unlink()
    assert keys.find("first", "ES256") == [found]


def test_a_file_with_a_private_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(private_pem(ec_key("first")))
    with pytest.raises(KeysAway) as caught:
        FileKeys(path).find(None, "ES256")
    assert "a private key" in str(caught.value.__cause__)
