"""How many jobs ended, and how long they took, to the millisecond."""

from collections.abc import Sequence
from typing import Final

from jobs.sql import ended
from jobs.sql.signature import Alike, FeedSpan

_SECONDS: Final = "round((julianday({end}) - julianday({begin})) * 86400, 3)"


def count_ended(span: FeedSpan, bounds: Sequence[float]) -> list[Alike]:
    return ended.count_alike(span, bounds, seconds=_SECONDS)
