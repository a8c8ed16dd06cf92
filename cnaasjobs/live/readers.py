"""``GET /api/v1.0/events``: Server-Sent Events."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from django.db import Error
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from cnaasjobs.events import record
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.admission import AGAIN_SECONDS, NotAdmitted, admitted
from cnaasjobs.live.bulletin import Bulletin, Subscription
from cnaasjobs.live.cors import headers_for
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import Poller
from jobs.feed import Kind, Position

MOST_WAITING: Final = 8  # looks; a reader that is further behind is dropped, and resumes by its position


class Reader:
    """A connection that listens, with the events that have not been sent to it yet."""

    def __init__(self, wanted: Subscription) -> None:
        self.wanted = wanted
        self.is_late = False
        self._waiting: deque[bytes] = deque()
        self._something_came = asyncio.Event()

    def take(self, bulletin: Bulletin) -> None:
        text = bulletin.written(self.wanted)
        if text and not self.is_late:
            self.is_late = len(self._waiting) >= MOST_WAITING
            self._waiting.append(text)
            self._something_came.set()

    async def next(self, timeout: float) -> bytes | None:
        """The next text to send; None if nothing came in time, or nothing more will come."""
        if not self._waiting and not self.is_late:
            self._something_came.clear()
            try:
                await asyncio.wait_for(self._something_came.wait(), timeout)
            except TimeoutError:
                return None
        if self.is_late:
            return None
        text = b"".join(self._waiting)
        self._waiting.clear()
        return text


class Stream(EventSourceResponse):
    media_type = "text/event-stream"


class Readers:
    def __init__(self, database: Database, poller: Poller) -> None:
        self._database = database
        self._poller = poller

    async def respond(self, request: Request) -> Response:
        """Raises NotAdmitted."""
        reader = Reader(_wanted(request, await admitted(self._database, request.scope)))
        since = _since(request)
        headers = {"Cache-Control": "no-store", **headers_for(request)}
        if request.method == "HEAD":  # which the route takes too: there is nothing to wait for
            return Response(headers=headers, media_type=Stream.media_type)
        return Stream(self._events(request, reader, since), headers=headers)

    async def _events(self, request: Request, reader: Reader, since: Position | None) -> AsyncIterator[bytes]:
        self._poller.join(reader, since)
        try:
            ask_again = time.monotonic() + AGAIN_SECONDS
            while not reader.is_late:
                if (left := ask_again - time.monotonic()) <= 0:
                    if not await self._may_still(request, reader):
                        return
                    ask_again = time.monotonic() + AGAIN_SECONDS
                elif text := await reader.next(left):
                    yield text
            record(LiveAction.READER_DROPPED, what="events")
        finally:
            self._poller.leave(reader)

    async def _may_still(self, request: Request, reader: Reader) -> bool:
        try:
            return reader.wanted.kinds <= await admitted(self._database, request.scope)
        except NotAdmitted:
            return False
        except Error:  # can't be known now; nothing is told while the database is away
            return True


def _wanted(request: Request, may: frozenset[Kind]) -> Subscription:
    job = request.query_params.get("job")
    if job is not None and not (job.isascii() and job.isdigit() and len(job) <= 18):
        raise NotAdmitted(HTTPStatus.BAD_REQUEST, "job must be the number of a job")
    names = request.query_params.get("kind")
    if names is None:
        kinds = may if job is None else may - {Kind.LOCK}
    else:
        named = names.split(",")
        if unknown := [name for name in named if name not in list(Kind)]:
            allowed = ", ".join(Kind)
            raise NotAdmitted(HTTPStatus.BAD_REQUEST, f"kind must be one or more of {allowed}, not {unknown[0][:40]!r}")
        kinds = frozenset(map(Kind, named))
    if not kinds <= may or not kinds:
        raise NotAdmitted(HTTPStatus.FORBIDDEN, "Missing permission to listen to this")
    return Subscription(kinds, None if job is None else int(job))


def _since(request: Request) -> Position | None:
    """A browser that reconnects by itself sends the last position that it received, which is newer than its URL's."""
    text = request.headers.get("last-event-id") or request.query_params.get("after")
    if not text:
        return None
    position = Position.parse(text)
    return position or Position("0", 0)  # of no feed: the reader must load everything again
