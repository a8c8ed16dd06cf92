"""Looks at the feed once for all who listen, four times a second, and not at all while nobody does."""

import asyncio
import time
from collections import defaultdict
from typing import Final, Protocol

from django.db import Error

from cnaasjobs.events import record
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.bulletin import Bulletin
from cnaasjobs.live.database import Database
from jobs import feed
from jobs.feed import News, Position

LOOK_SECONDS: Final = 0.25
POSITION_SECONDS: Final = 15.0


class Listener(Protocol):
    def take(self, bulletin: Bulletin) -> None:
        """Called in order for each look that found something. It must not wait for anything."""


class Poller:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: set[Listener] = set()
        self._newcomers: dict[Listener, Position | None] = {}
        self._somebody_came = asyncio.Event()
        self._position: Position | None = None
        self._told_position = 0.0
        self._away_since: float | None = None
        self.looked_at: float | None = None  # epoch seconds, by this machine's clock

    @property
    def listening(self) -> int:
        return len(self._listeners) + len(self._newcomers)

    def join(self, listener: Listener, since: Position | None = None) -> None:
        """The listener is told what it missed since that position, or where the feed is now; then everything after it.

        "Now" is the last look, not the next one: its news may be told to the others before the listener is one of them.
        """
        self._newcomers[listener] = self._position if since is None else since
        self._somebody_came.set()

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._newcomers.pop(listener, None)

    async def run(self) -> None:
        while True:
            if not self._listeners and not self._newcomers:
                self._position = None
                self._somebody_came.clear()
                await self._somebody_came.wait()
            began = time.monotonic()
            try:
                await self._look()
                self._works()
                self.looked_at = time.time()
            except Error as exc:
                self._waits(exc)
            await asyncio.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))

    async def _look(self) -> None:
        if self._position is None:
            self._position = await self._database.ask(feed.position)
        else:
            news = await self._database.ask(feed.look, self._position)
            self._position = news.position
            if news.told is None or news.told:
                self._tell(news)
        if time.monotonic() - self._told_position >= POSITION_SECONDS:
            self._told_position = time.monotonic()
            self._tell(News([], self._position))
        if self._newcomers:
            await self._welcome(self._position)

    async def _welcome(self, now: Position) -> None:
        """Listeners that missed the same time share one look, such as all of them after a restart of this process."""
        groups: defaultdict[Position | None, list[Listener]] = defaultdict(list)
        for listener, since in self._newcomers.items():
            groups[since].append(listener)
        for since, listeners in groups.items():
            missed = News([], now) if since is None else await self._database.ask(feed.look, since)
            bulletin = Bulletin(missed)
            for listener in listeners:
                if listener in self._newcomers:  # it may have left meanwhile
                    del self._newcomers[listener]
                    self._listeners.add(listener)
                    listener.take(bulletin)

    def _tell(self, news: News) -> None:
        bulletin = Bulletin(news)
        for listener in list(self._listeners):
            listener.take(bulletin)

    def _waits(self, exc: Error) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
            record(LiveAction.FEED_WAITS, error=str(exc))

    def _works(self) -> None:
        if self._away_since is not None:
            record(LiveAction.FEED_WORKS, waited_seconds=time.monotonic() - self._away_since)
            self._away_since = None
