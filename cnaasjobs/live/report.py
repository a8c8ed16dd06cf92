"""How many listen here and when the feed was last looked at: kept for /metrics, which another process answers."""

import asyncio
import contextlib
from typing import Final

from django.db import Error

from cnaasjobs.events import Event, subscribe, unsubscribe
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import Poller
from jobs.metrics import counted_here
from jobs.metrics.fold import flush

SECONDS: Final = 10.0


class Report:
    def __init__(self, database: Database, poller: Poller) -> None:
        self._database = database
        self._poller = poller
        self._said_nobody = False

    async def run(self) -> None:
        subscribe(saw)
        try:
            while True:
                await asyncio.sleep(SECONDS)
                await self.store()
        finally:
            unsubscribe(saw)

    async def store(self) -> None:
        """While the database is away, only this time's report is lost.

        That nobody listens is stored only once. A second process, such as a proxy's backup, has no readers, and would
        otherwise go on overwriting the first one's report, which is kept in the same place.
        """
        listening = self._poller.listening
        if listening or not self._said_nobody:
            counted_here.listened(listening, looked=self._poller.looked_at)
        self._said_nobody = not listening
        with contextlib.suppress(Error):  # the poller says so
            await self._database.ask(flush)


def saw(event: Event) -> None:
    if event.action is LiveAction.READER_DROPPED:
        counted_here.reader_dropped(str(event.fields["what"]))
