"""How many jobs ended, and how long they took."""

from collections.abc import Sequence
from typing import Final

from jobs.sql import ended
from jobs.sql.signature import Alike, FeedSpan

_SECONDS: Final = "extract(epoch FROM {end} - ({begin}))::float8"


def count_ended(span: FeedSpan, bounds: Sequence[float]) -> list[Alike]:
    return ended.count_alike(span, bounds, seconds=_SECONDS)
