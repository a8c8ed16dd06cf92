"""One poller queries the feed for all readers: who is told what as they come and go."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cnaasjobs.live.bulletin import Bulletin
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import LOOK_SECONDS, Poller
from jobs.states import Status
from tests.factory import job_in

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """``then``: what it does when it is told something."""

    def __init__(self, then: Callable[["Listener"], None] = lambda listener: None) -> None:
        self.jobs: list[int | None] = []
        self.was_told = asyncio.Event()
        self._then = then

    def take(self, bulletin: Bulletin) -> None:
        self.jobs += [told.job_id for told in bulletin.news.told or ()]
        self.was_told.set()
        self._then(self)


async def until(condition: Callable[[], bool]) -> None:
    """``play`` bounds how long."""
    while not condition():
        await asyncio.sleep(LOOK_SECONDS / 5)


def play(scene: Callable[[Poller, Callable[[], Awaitable[int]]], Awaitable[None]]) -> None:
    """``scene`` gets a poller that runs, and what ends a job and returns its number."""

    async def run() -> None:
        database = Database()

        async def ended() -> int:
            return (await database.ask(job_in, Status.FINISHED)).pk

        poller = Poller(database)
        running = asyncio.create_task(poller.run())
        scenes = asyncio.ensure_future(scene(poller, ended))
        try:
            await asyncio.wait({running, scenes}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
            assert scenes.done(), running
            await scenes
        finally:
            running.cancel()
            scenes.cancel()
            database.close()

    asyncio.run(run())


def test_whoever_comes_after_a_time_without_listeners_hears_nothing_of_it() -> None:
    async def scene(poller: Poller, ended: Callable[[], Awaitable[int]]) -> None:
        first, second = Listener(), Listener()
        poller.join(first)
        await first.was_told.wait()
        poller.leave(first)
        await until(lambda: poller._position is None)  # it has seen that nobody is there
        await ended()
        poller.join(second)
        await second.was_told.wait()
        told = await ended()
        await until(lambda: told in second.jobs)
        assert set(second.jobs) == {told}
        assert first.jobs == []

    play(scene)


def test_one_that_left_before_it_was_told_anything_is_told_nothing() -> None:
    async def scene(poller: Poller, ended: Callable[[], Awaitable[int]]) -> None:
        here, gone = Listener(), Listener()
        poller.join(here)
        poller.join(gone)
        poller.leave(gone)
        assert poller.listening == 1
        await here.was_told.wait()
        assert not gone.was_told.is_set()

    play(scene)


def test_one_may_leave_while_it_is_told() -> None:
    async def scene(poller: Poller, ended: Callable[[], Awaitable[int]]) -> None:
        def leave(listener: Listener) -> None:
            if listener.jobs:
                poller.leave(listener)

        leavers = [Listener(leave) for _ in range(3)]
        stays = Listener()
        for listener in (*leavers, stays):
            poller.join(listener)
            await listener.was_told.wait()
        first = await ended()
        await until(lambda: first in stays.jobs)
        second = await ended()
        await until(lambda: second in stays.jobs)
        assert all(set(listener.jobs) == {first} for listener in leavers)

    play(scene)
