"""Which of the threads that wait for a client are released, and when."""

import contextlib
import io
import math
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gunicorn.http.errors import ParseException

from cnaasjobs.web import deadlines
from cnaasjobs.web.deadlines import BoundedInput, ClientSocket, end_overdue, make_way
from tests.waiting import wait_until

MUCH = b"x" * 20_000_000  # more than the kernel keeps for a client that takes nothing
NOW, LATER = 0.0, 3600.0


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    yield
    assert deadlines._waits == {}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the limits; what is not given is far away."""

    def set_them(
        *, total: float = LATER, patience: float = LATER, slowest: float = math.inf, slow: float = math.inf
    ) -> None:
        monkeypatch.setattr(deadlines, "BODY_SECONDS", total)
        monkeypatch.setattr(deadlines, "SEND_SECONDS", total)
        monkeypatch.setattr(deadlines, "PATIENCE_SECONDS", patience)
        monkeypatch.setattr(deadlines, "SLOWEST", slowest)
        monkeypatch.setattr(deadlines, "SLOW", slow)

    set_them()
    return set_them


class Waiting:
    """Threads of two pools, each waiting for a client."""

    def __init__(self) -> None:
        self.pools = {name: ThreadPoolExecutor(4, thread_name_prefix=name) for name in ("requests", "bodies")}
        self.sockets: list[tuple[ClientSocket, socket.socket]] = []

    def pair(self) -> tuple[ClientSocket, socket.socket]:
        """Our end of a connection, and the client's."""
        ours, theirs = socket.socketpair()
        self.sockets.append((ClientSocket.of(ours), theirs))
        return self.sockets[-1]

    def does(self, work: Callable[[], Any], pool: str = "requests") -> "Future[Any]":
        """Returns when it waits."""
        before = len(deadlines._waits)
        future = self.pools[pool].submit(work)
        wait_until(lambda: len(deadlines._waits) > before)
        return future

    def sends(self, pool: str = "requests", *, data: bytes = MUCH, ours: ClientSocket | None = None) -> ClientSocket:
        """Data that the client does not take."""
        ours = ours or self.pair()[0]
        self.does(lambda: ours.sendall(data), pool)
        return ours

    def is_ended(self, ours: ClientSocket) -> bool:
        """Its socket is shut, so its client sees the end."""
        (theirs,) = [theirs for one, theirs in self.sockets if one is ours]
        poll = select.poll()
        poll.register(theirs, select.POLLRDHUP)
        return bool(poll.poll(0))

    def close(self) -> None:
        for _, theirs in self.sockets:
            theirs.close()
        for pool in self.pools.values():
            pool.shutdown()
        for ours, _ in self.sockets:
            ours.close()


@pytest.fixture
def waiting(seconds: Callable[..., None]) -> Iterator[Waiting]:
    with contextlib.closing(Waiting()) as found:
        yield found


def test_only_a_client_whose_time_is_over_is_ended(waiting: Waiting, seconds: Callable[..., None]) -> None:
    patient = waiting.sends()
    seconds(total=NOW)
    overdue = waiting.sends()
    end_overdue()
    assert waiting.is_ended(overdue)
    assert not waiting.is_ended(patient)
    wait_until(lambda: len(deadlines._waits) == 1, message="its thread goes on to wait")


def test_as_many_make_way_as_requests_queue_of_the_same_threads_the_longest_first(
    waiting: Waiting, seconds: Callable[..., None]
) -> None:
    patient = waiting.sends()
    seconds(patience=NOW)
    of_others, first, second = waiting.sends("bodies"), waiting.sends(), waiting.sends()
    make_way("requests", 1)
    assert waiting.is_ended(first)
    assert not any(map(waiting.is_ended, (patient, of_others, second)))
    wait_until(lambda: len(deadlines._waits) == 3)
    make_way("requests", 2)
    assert waiting.is_ended(second)
    assert not any(map(waiting.is_ended, (patient, of_others)))


def test_a_client_that_is_gone_keeps_no_other_from_being_ended(waiting: Waiting, seconds: Callable[..., None]) -> None:
    seconds(total=NOW)
    with socket.socket() as gone, deadlines._noted(gone, socket.SHUT_RDWR, yields=NOW, ends=NOW):
        overdue = waiting.sends()
        end_overdue()
    assert waiting.is_ended(overdue)


def test_a_client_that_has_waited_is_left_alone(waiting: Waiting, seconds: Callable[..., None]) -> None:
    seconds(total=NOW, patience=NOW)
    ours, theirs = waiting.pair()
    sending = waiting.does(lambda: ours.sendall(MUCH))
    take(theirs, MUCH)
    sending.result(timeout=10)
    end_overdue()
    make_way("requests", 1)
    assert not waiting.is_ended(ours)


def test_the_waits_for_one_answer_count_together(waiting: Waiting, seconds: Callable[..., None]) -> None:
    ours, theirs = waiting.pair()
    first = waiting.does(lambda: ours.sendall(MUCH))
    assert not threading.Event().wait(0.2)
    take(theirs, MUCH)
    first.result(timeout=10)
    seconds(total=0.15)
    waiting.sends(ours=ours)
    end_overdue()
    assert waiting.is_ended(ours)


def test_the_next_answer_has_its_own_time(waiting: Waiting, seconds: Callable[..., None]) -> None:
    ours, _ = waiting.pair()
    ours._waited = LATER  # the one before took that long
    ours.new_answer()
    seconds(total=LATER / 2)
    waiting.sends(ours=ours)
    end_overdue()
    assert not waiting.is_ended(ours)


@pytest.mark.parametrize("ends", [end_overdue, lambda: make_way("requests", 9)], ids=["overdue", "in others' way"])
@pytest.mark.parametrize("was_taken", [True, False])
def test_a_long_answer_has_more_time(
    waiting: Waiting, seconds: Callable[..., None], ends: Callable[[], None], was_taken: bool
) -> None:
    """Both what the kernel takes at once and what it does not count."""
    seconds(total=NOW, patience=NOW, slowest=1.0, slow=1.0)
    ours, _ = waiting.pair()
    if was_taken:
        ours.sendall(b"x" * 10_000)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 10_000, socket.MSG_DONTWAIT)
    waiting.sends(data=b"x" * (1 if was_taken else 10_000), ours=ours)
    assert not threading.Event().wait(1.2)  # more than it has for one byte
    ends()
    assert not waiting.is_ended(ours)


def test_a_file_must_be_taken_in_time_too(waiting: Waiting, seconds: Callable[..., None], tmp_path: Path) -> None:
    seconds(total=NOW)
    (tmp_path / "file").write_bytes(MUCH)
    ours, _ = waiting.pair()
    with (tmp_path / "file").open("rb") as file:
        sending = waiting.does(lambda: ours.sendfile(file))
        end_overdue()
        assert isinstance(sending.exception(timeout=10), OSError)


@pytest.mark.parametrize("call", ["read", "readline", "readlines", "__iter__"])
def test_the_reads_of_one_body_count_together(waiting: Waiting, seconds: Callable[..., None], call: str) -> None:
    ours, theirs = waiting.pair()
    body = BoundedInput(ours.makefile("rb", 0), ours)
    theirs.send(b"x")
    assert body.read(1) == b"x"
    assert not threading.Event().wait(0.2)
    seconds(total=0.1)
    reading = waiting.does(lambda: [*getattr(body, call)()])
    make_way("requests", 1)
    theirs.send(b"x")  # it is not shut
    end_overdue()
    with pytest.raises(BrokenPipeError):
        theirs.send(b"x")
    reading.result(timeout=10)


def test_a_body_makes_way_when_it_was_waited_for_a_while(waiting: Waiting, seconds: Callable[..., None]) -> None:
    seconds(patience=NOW)
    ours, _ = waiting.pair()
    body = BoundedInput(ours.makefile("rb", 0), ours)
    reading = waiting.does(body.read)
    make_way("requests", 1)
    assert reading.result(timeout=10) == b""


def test_a_body_in_invalid_chunks_is_a_broken_one() -> None:
    class Invalid(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ParseException("invalid chunk")

    with socket.socket() as ours, pytest.raises(OSError, match="invalid chunk"):
        BoundedInput(Invalid(), ours).read()


def take(theirs: socket.socket, data: bytes) -> None:
    left = len(data)
    while left:
        left -= len(theirs.recv(1 << 20))
