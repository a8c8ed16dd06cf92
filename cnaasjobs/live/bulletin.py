"""What a look at the feed found, rendered once for all readers that subscribed to the same part of it."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import orjson

from jobs.feed import Kind, News, Told


class Subscription(NamedTuple):
    """What a reader listens to."""

    kinds: frozenset[Kind]
    job_id: int | None = None  # only this one's events and log

    def includes(self, told: Told) -> bool:
        return told.kind in self.kinds and (told.kind is Kind.LOCK or self.job_id in (None, told.job_id))


class Bulletin:
    def __init__(self, news: News) -> None:
        self.news = news
        self._written: dict[Subscription, bytes] = {}

    def written(self, wanted: Subscription) -> bytes:
        """The news as Server-Sent Events, the last of which carries the position. Empty if none concerns the reader."""
        if wanted not in self._written:
            self._written[wanted] = b"".join(self._events(wanted))
        return self._written[wanted]

    def _events(self, wanted: Subscription) -> Iterator[bytes]:
        position = str(self.news.position)
        if not self.news.told:
            event = "reset" if self.news.told is None else "position"
            yield _event(event, orjson.dumps({"position": position}), position)
            return
        concerns = [told for told in self.news.told if wanted.includes(told)]
        for told in concerns:
            # A reader that is cut off within a look repeats all of it.
            yield _event(told.kind, self._texts[id(told)], position if told is concerns[-1] else "")

    @cached_property
    def _texts(self) -> dict[int, bytes]:
        return {id(told): orjson.dumps(told.data) for told in self.news.told or ()}


def _event(name: str, data: bytes, position: str) -> bytes:
    """``data`` is JSON, so it is one line."""
    mark = f"id: {position}\n" if position else ""
    return f"event: {name}\n{mark}data: ".encode() + data + b"\n\n"
