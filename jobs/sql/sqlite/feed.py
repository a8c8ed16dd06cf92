"""The change feed: one writer at a time, so the counter's numbers are the order of commits and none is ever open."""

from typing import Final

from cnaasjobs.db.changes import COUNTER
from jobs.sql.execute import rows
from jobs.sql.position import Change, Kind, Look, Position
from jobs.sql.tables import NUMBERED

_NOW: Final = f"SELECT feed, value FROM {COUNTER}"
_ALL: Final = " UNION ALL ".join(
    f"SELECT * FROM (SELECT change, '{kind}' AS kind, id FROM {table} WHERE change > %(top)s"
    " ORDER BY change LIMIT %(limit)s)"
    for kind, table in NUMBERED.items()
)
_LOOK: Final = f"""
    SELECT counted.feed, counted.value, changed.change, changed.kind, changed.id
    FROM ({_NOW}) AS counted LEFT JOIN ({_ALL}) AS changed ON TRUE
    ORDER BY changed.change, changed.kind, changed.id LIMIT %(limit)s
"""


def position() -> Position:
    return _position(*rows(_NOW)[0])


def look(since: Position, limit: int) -> Look:
    found = rows(_LOOK, {"top": since.top, "limit": limit + 1})
    now = _position(*found[0][:2])
    changed = [row[2:] for row in found if row[2] is not None]
    if now.feed != since.feed or since.top > now.top or len(changed) > limit:
        return Look(None, now)
    return Look([Change(Kind(kind), key) for _, kind, key in changed], now)


def _position(feed: str, counted: int) -> Position:
    return Position(feed.lower(), counted)
