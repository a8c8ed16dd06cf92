"""The store on SQLite, which has one writer at a time: so several statements in one transaction are enough."""

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
from jobs.sql.sqlite.claim import claim
from jobs.sql.sqlite.columns import ended_in_columns
from jobs.sql.sqlite.devices import (
    begin_devices,
    fleet_standing,
    note_steps,
    show_progress,
    take_devices,
    tally,
    write_devices,
)
from jobs.sql.sqlite.due import take_due
from jobs.sql.sqlite.ended import count_ended
from jobs.sql.sqlite.feed import look, position
from jobs.sql.sqlite.finish import finish
from jobs.sql.sqlite.leaving import leave
from jobs.sql.sqlite.outcomes import outcomes, result_in_parts
from jobs.sql.sqlite.prune import delete
from jobs.sql.sqlite.snapshots import all_before_have_ended, transaction_number

shares_devices = False  # one process at a time writes

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
