"""The store on PostgreSQL: each transition is one statement, so one round trip and one commit."""

from jobs.sql.common import (
    block_of,
    count_from,
    count_into_blocks,
    count_up_to,
    count_where,
    ids_up_to,
    kept_total,
    standing_of,
    wake_first,
)
from jobs.sql.deciding import decide
from jobs.sql.devices import device_reports, fingerprint, finished_hosts, newest_done, note_end, taken_devices
from jobs.sql.ended import count_devices, last_of
from jobs.sql.log import append_log
from jobs.sql.lost import lose_devices, lose_unrecorded, unreported_devices, write_reports
from jobs.sql.overview import progress_rows, symptoms
from jobs.sql.postgresql.claim import claim
from jobs.sql.postgresql.columns import ended_in_columns
from jobs.sql.postgresql.devices import (
    begin_devices,
    fleet_standing,
    note_steps,
    show_progress,
    take_devices,
    tally,
    write_devices,
)
from jobs.sql.postgresql.due import take_due
from jobs.sql.postgresql.ended import count_ended
from jobs.sql.postgresql.feed import look, position
from jobs.sql.postgresql.finish import finish
from jobs.sql.postgresql.leaving import leave
from jobs.sql.postgresql.outcomes import outcomes, result_in_parts
from jobs.sql.postgresql.prune import delete
from jobs.sql.postgresql.snapshots import all_before_have_ended, transaction_number

shares_devices = True

__all__ = [
    "all_before_have_ended",
    "append_log",
    "begin_devices",
    "block_of",
    "claim",
    "count_devices",
    "count_ended",
    "count_from",
    "count_into_blocks",
    "count_up_to",
    "count_where",
    "decide",
    "delete",
    "device_reports",
    "ended_in_columns",
    "fingerprint",
    "finish",
    "finished_hosts",
    "fleet_standing",
    "ids_up_to",
    "kept_total",
    "last_of",
    "leave",
    "look",
    "lose_devices",
    "lose_unrecorded",
    "newest_done",
    "note_end",
    "note_steps",
    "outcomes",
    "position",
    "progress_rows",
    "result_in_parts",
    "shares_devices",
    "show_progress",
    "standing_of",
    "symptoms",
    "take_devices",
    "take_due",
    "taken_devices",
    "tally",
    "transaction_number",
    "unreported_devices",
    "wake_first",
    "write_devices",
    "write_reports",
]
