"""The change feed: what became visible since a snapshot, not everything since the snapshot's oldest open transaction.

So no open transaction delays it, and what commits late is told when it does.
"""

import hashlib
from typing import Any, Final

from jobs.sql.execute import rows
from jobs.sql.position import Change, Kind, Look, Position
from jobs.sql.tables import NUMBERED

# The server that was initialised once, the history that it follows since the last failover, and the database in it. A
# standby follows its primary's, and does not say which that is; what is read there can be shown nevertheless.
_FEED: Final = """(SELECT system_identifier FROM pg_control_system())
    || '-' || CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END
    || '-' || (SELECT oid FROM pg_database WHERE datname = current_database())"""
_NOW: Final = f"""
    SELECT {_FEED} AS feed, pg_snapshot_xmax(snapshot)::text::bigint AS xmax,
        ARRAY(SELECT number::text::bigint FROM pg_snapshot_xip(snapshot) AS number) AS running
    FROM (SELECT pg_current_snapshot() AS snapshot) AS taken
"""
_NEWEST: Final = ", ".join(f"(SELECT max(change) FROM {table} WHERE change < now.xmax)" for table in NUMBERED.values())
_POSITION: Final = f"WITH now AS MATERIALIZED ({_NOW}) SELECT feed, xmax, running, greatest(0, {_NEWEST}) FROM now"
# Two selects, each along the index: with OR in one the planner may read a whole partial index, or sort all of it.
# A row is beyond xmax only after a restore into another server, which numbers its transactions differently.
_BEHIND: Final = """
    (SELECT change, '{kind}' AS kind, id FROM {table} WHERE change > %(top)s AND change < now.xmax
     ORDER BY change LIMIT %(limit)s)
    UNION ALL
    (SELECT change, '{kind}', id FROM {table} WHERE change = ANY(%(open)s::bigint[])
     ORDER BY change LIMIT %(limit)s)
"""
_ALL: Final = " UNION ALL ".join(_BEHIND.format(kind=kind, table=table) for kind, table in NUMBERED.items())
_LOOK: Final = f"""
    WITH now AS MATERIALIZED ({_NOW})
    SELECT feed, xmax, running, changed.change, changed.kind, changed.id
    FROM now LEFT JOIN LATERAL ({_ALL}) AS changed ON TRUE
    ORDER BY changed.change, changed.kind, changed.id LIMIT %(limit)s
"""


def position() -> Position:
    feed, _, running, newest = rows(_POSITION)[0]
    return Position.behind(_short(feed), newest, running)


def look(since: Position, limit: int) -> Look:
    found = rows(_LOOK, {"top": since.top, "open": [*since.open], "limit": limit + 1})
    feed, xmax, running = found[0][:3]
    changed: list[tuple[Any, ...]] = [row[3:] for row in found if row[3] is not None]
    if _short(feed) != since.feed or since.top >= xmax or len(changed) > limit:
        return Look(None, position())
    top = max([since.top, *(number for number, _, _ in changed)])
    return Look([Change(Kind(kind), key) for _, kind, key in changed], Position.behind(since.feed, top, running))


def _short(feed: str) -> str:
    return hashlib.blake2b(feed.encode(), digest_size=4).hexdigest()
