"""The events process's server in a thread of this process, and readers of its streams."""

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import pytest
import uvicorn

from cnaasjobs.live import application, server
from cnaasjobs.live.front_ends import FrontEnds
from tests.api import described
from tests.waiting import wait_until


class Event(NamedTuple):
    name: str
    data: Any
    id: str | None


class Stream:
    """A client of the stream, which reads in a thread of its own."""

    def __init__(self, port: int, query: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.request("GET", f"/api/v1.0/events{query}", headers=dict(headers or {}))
        self._socket = self._connection.sock  # which a "Connection: close" takes from it
        self.answer = self._connection.getresponse()
        self.status = self.answer.status
        self.events: list[Event] = []
        self._described: Counter[str] = Counter()  # of each name, how many were held against the description
        self.has_ended = False
        if self.status == 200:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    @property
    def message(self) -> str:
        return str(json.loads(self.answer.read())["message"])

    def of(self, name: str) -> list[Any]:
        found = [event.data for event in list(self.events) if event.name == name]
        for data in found[self._described[name] :]:
            described.check_event(name, data)
            self._described[name] += 1
        return found

    def position(self) -> str:
        """The last one that it was told, as a browser keeps it."""
        return [event.id for event in self.events if event.id][-1]

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        return wait_until(condition, message=lambda: str(self.events))

    def begin(self) -> "Stream":
        """It is told of all that happens from now on."""
        self.wait_for(lambda: self.events)
        return self

    def close(self) -> None:
        if self.status == 200:
            with suppress(OSError):  # the other side was first
                self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self.answer.close()
        self._connection.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\r\n")
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    self.events.append(Event(fields["event"], json.loads(fields["data"]), fields.get("id")))
                    fields = {}
                elif "data" in fields:  # which a browser takes for a message
                    self.events.append(Event("message", fields["data"], None))
                    fields = {}
                else:  # a comment, which keeps the connection
                    fields = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # closed, by either side
        self.has_ended = True


class Live:
    def __init__(self, port: int, stack: ExitStack, front_ends: FrontEnds, server: uvicorn.Server) -> None:
        self.port = port
        self.server = server
        self.front_ends = front_ends
        self.url = f"http://127.0.0.1:{port}"
        self._stack = stack

    def stream(self, query: str = "", headers: Mapping[str, str] | None = None) -> Stream:
        stream = Stream(self.port, query, headers)
        self._stack.callback(stream.close)
        return stream


@pytest.fixture
def live(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    made: list[FrontEnds] = []

    class Known(FrontEnds):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(application, "FrontEnds", Known)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = server.config(application.application(), proxy_protocol=False)
        config.timeout_graceful_shutdown = 1
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: running.started)
            with ExitStack() as stack:
                yield Live(listener.getsockname()[1], stack, made[0], running)
        finally:
            running.should_exit = True
            thread.join()
