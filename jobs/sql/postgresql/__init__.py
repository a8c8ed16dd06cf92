"""The store on PostgreSQL: each transition is one statement, so one round trip and one commit."""

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
from jobs.sql.postgresql.claim import claim
from jobs.sql.postgresql.due import take_due
from jobs.sql.postgresql.feed import look, position
from jobs.sql.postgresql.finish import finish
from jobs.sql.postgresql.outcomes import outcomes, result_in_parts
from jobs.sql.postgresql.prune import delete
from jobs.sql.postgresql.snapshots import all_before_have_ended, transaction_number

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
