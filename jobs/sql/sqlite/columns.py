"""Jobs that ended, some of each column of time: one statement for each column, as there is no server to wait for."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jobs.sql.execute import adapted, rows
from jobs.sql.overview_signature import JobSpan
from jobs.sql.tables import JOB

_ENDED: Final = f"""
    SELECT id, function_name, lock_name, status, start_time, finish_time FROM {JOB}
    WHERE start_time IS NOT NULL AND finish_time >= %s AND finish_time < %s ORDER BY finish_time LIMIT %s
"""


def ended_in_columns(since: datetime, width: timedelta, columns: int, *, most: int) -> list[JobSpan]:
    begins = [since + number * width for number in range(columns)]
    return [_span(row) for begin in begins for row in rows(_ENDED, [adapted(begin), adapted(begin + width), most])]


def _span(row: tuple[Any, ...]) -> JobSpan:
    job_id, function_name, lock_name, status, *times = row
    start, finish = (when.replace(tzinfo=UTC) for when in times)  # stored without a zone
    return JobSpan(job_id, function_name, lock_name, status, start, finish)
