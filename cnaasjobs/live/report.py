"""How many listen here and when the feed was last looked at: kept for /metrics, which another process answers."""

import asyncio
import contextlib
from typing import Final

from django.db import Error

from cnaasjobs.events import Event, subscribe, unsubscribe
from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import Poller
from jobs.metrics import tally
from jobs.metrics.fold import flush

SECONDS: Final = 10.0


class Report:
    def __init__(self, database: Database, poller: Poller) -> None:
        self._database = database
        self._poller = poller

    async def run(self) -> None:
        subscribe(saw)
        try:
            while True:
                await asyncio.sleep(SECONDS)
                await self.store()
        finally:
            unsubscribe(saw)

    async def store(self) -> None:
        """While the database is away, only this time's report is lost."""
        tally.listened(self._poller.listening, looked=self._poller.looked_at)
        with contextlib.suppress(Error):  # the poller says so
            await self._database.ask(flush)


def saw(event: Event) -> None:
    if event.action is LiveAction.READER_DROPPED:
        tally.reader_dropped(str(event.fields["what"]))
