"""``/socket.io/``: job updates, log lines and syncs as existing front ends take them.

A job's update is sent when its state differs from the one sent last: they do not need its progress.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import socketio
from django.db import Error

from cnaasjobs.api.errors import DATABASE_AWAY
from cnaasjobs.api.middleware import LOOPBACK_NAMES
from cnaasjobs.conf import conf
from cnaasjobs.events import record
from cnaasjobs.live import nonsense, recent, strangers
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.admission import AGAIN_SECONDS, NotAdmitted, admitted
from cnaasjobs.live.bulletin import Bulletin
from cnaasjobs.live.connections import LINES_UNTIL, MESSAGES_UNTIL, Connection, lines_of, update_of
from cnaasjobs.live.database import Database
from cnaasjobs.live.last_told import LastTold
from cnaasjobs.live.poller import LOOK_SECONDS, Poller
from cnaasjobs.live.strangers import EVENTS
from jobs.feed import Kind, Told
from jobs.states import TERMINAL


class FrontEnds:
    """Listens for all clients together, while there is one."""

    def __init__(self, database: Database, poller: Poller) -> None:
        self._clients: dict[str, Connection] = {}
        self.server = strangers.Server(
            self._clients.keys(), async_mode="asgi", cors_allowed_origins=_may_come_from, cors_credentials=True
        )
        self._database = database
        self._poller = poller
        self._bulletins: asyncio.Queue[Bulletin] = asyncio.Queue()
        self._last_told = LastTold()
        self._hears = asyncio.Event()  # everything that happens from now on
        self._checked = self._parted = time.monotonic()
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on(EVENTS, self._subscribe)

    def take(self, bulletin: Bulletin) -> None:
        self._hears.set()
        self._bulletins.put_nowait(bulletin)

    async def run(self) -> None:
        while True:
            try:
                bulletin = await asyncio.wait_for(self._bulletins.get(), LOOK_SECONDS)
                await self._tell(bulletin)
            except TimeoutError:
                pass
            for sid, client in list(self._clients.items()):
                for update in client.next_updates():
                    await self._emit(sid, update)
            if time.monotonic() - self._checked > AGAIN_SECONDS:
                self._checked = time.monotonic()
                await self._admit_again()
            if time.monotonic() - self._parted > strangers.SECONDS:
                self._parted = time.monotonic()
                await self.server.part_with_strangers()
                nonsense.tell()

    # --- clients ------------------------------------------------------------------------------------------------------

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: Any = None) -> None:
        scope = environ["asgi.scope"]
        given = parse_qs(environ.get("QUERY_STRING", "")).get("jwt")
        token = given[0] if given else ""
        try:
            kinds = await admitted(self._database, scope, token=token)
        except NotAdmitted as exc:
            raise socketio.exceptions.ConnectionRefusedError(exc.message) from None
        except Error:
            raise socketio.exceptions.ConnectionRefusedError(DATABASE_AWAY) from None
        self._clients[sid] = Connection(scope, token, kinds)
        if len(self._clients) == 1:
            self._last_told.forget()
            self._hears.clear()
            self._poller.join(self)

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        self._clients.pop(sid, None)
        if not self._clients:
            self._poller.leave(self)

    async def _subscribe(self, sid: str, wish: Any = None) -> None:
        client = self._clients.get(sid)
        if client is None:
            return
        knew = client.wants_jobs
        if isinstance(wish, Mapping) and client.subscribe(wish) and client.wants_jobs and not knew:
            await self._hears.wait()
            await self._tell_recent(client)

    async def _tell_recent(self, *clients: Connection) -> None:
        """A front end that reconnects does not load anything again, so it is told what happened meanwhile."""
        try:
            jobs = await self._database.ask(recent.jobs)
        except Error:
            return
        updates = {job["id"]: update for job in jobs if (update := update_of(job)) is not None}
        for client in clients:
            client.add(updates)

    async def _admit_again(self) -> None:
        for sid, client in list(self._clients.items()):
            try:
                client.kinds = await admitted(self._database, client.scope, token=client.token)
            except NotAdmitted:
                await self.server.disconnect(sid)
            except Error:  # can't be known now; nothing is told while the database is away
                return

    # --- news ---------------------------------------------------------------------------------------------------------

    async def _tell(self, bulletin: Bulletin) -> None:
        told = bulletin.news.told
        if told is None:
            self._last_told.forget()
            await self._tell_recent(*self._clients.values())
            return
        updates = self._updates(told)
        for sid, client in list(self._clients.items()):
            if not client.add(updates) or self._waiting(sid) > MESSAGES_UNTIL:
                record(LiveAction.READER_DROPPED, what="socket.io")
                await self.server.disconnect(sid)
        for log in told:
            if log.kind is Kind.LOG:
                await self._tell_lines(log)
        if updates and any(client.wants_syncs for client in self._clients.values()):
            await self._tell_syncs([job_id for job_id, update in updates.items() if update["status"] in TERMINAL])

    def _updates(self, told: list[Told]) -> dict[int, dict[str, Any]]:
        updates: dict[int, dict[str, Any]] = {}
        for each in told:
            if each.kind is not Kind.JOB or each.job_id is None:
                continue
            update = self._last_told.update(each.data)
            if update is not None:
                updates[each.job_id] = update
        return updates

    async def _tell_lines(self, log: Told) -> None:
        for level, text in lines_of(log):
            for sid, client in list(self._clients.items()):
                if client.wants_line(level) and self._waiting(sid) <= LINES_UNTIL:
                    await self._emit(sid, text)

    async def _tell_syncs(self, job_ids: list[int]) -> None:
        try:
            syncs = await self._database.ask(recent.syncs, job_ids)
        except Error:
            return
        for sync in syncs:
            for sid, client in list(self._clients.items()):
                if client.wants_syncs:
                    await self._emit(sid, sync)

    async def _emit(self, sid: str, data: Any) -> None:
        await self.server.emit(EVENTS, data, to=sid)

    def _waiting(self, sid: str) -> int:
        """How many messages the client has not taken yet: socket.io itself sets no limit."""
        socket = self.server.eio.sockets.get(self.server.manager.eio_sid_from_sid(sid, "/"))
        return socket.queue.qsize() if socket is not None else 0


def _may_come_from(origin: str | None, environ: Mapping[str, Any]) -> bool:
    """The server's own pages, and those of ``CNAASJOBS_CORS_ORIGINS``. In development any page of this machine: the
    existing front end's own nginx drops the port from Host."""
    if origin is None or origin in conf.cors_origins:
        return True
    try:
        parts = urlsplit(origin)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if not conf.require_token and (host in LOOPBACK_NAMES or host.endswith(".localhost")):
        return True
    return bool(parts.netloc.lower() == environ.get("HTTP_HOST", "").lower())
