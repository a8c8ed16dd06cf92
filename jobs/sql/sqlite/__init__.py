"""The store on SQLite, which has one writer at a time: what takes several statements there is one transaction."""

from jobs.sql.common import (
    block_of,
    count_from,
    count_into_blocks,
    count_where,
    kept_total,
    standing_of,
    wake_first,
)
from jobs.sql.log import append_log
from jobs.sql.sqlite.claim import claim
from jobs.sql.sqlite.due import take_due
from jobs.sql.sqlite.feed import look, position
from jobs.sql.sqlite.finish import finish
from jobs.sql.sqlite.outcomes import outcomes, result_in_parts
from jobs.sql.sqlite.prune import delete
from jobs.sql.sqlite.snapshots import all_before_have_ended, transaction_number

__all__ = [
    "all_before_have_ended",
    "append_log",
    "block_of",
    "claim",
    "count_from",
    "count_into_blocks",
    "count_where",
    "delete",
    "finish",
    "kept_total",
    "look",
    "outcomes",
    "position",
    "result_in_parts",
    "standing_of",
    "take_due",
    "transaction_number",
    "wake_first",
]
