"""Jobs that ended, some of each column of time: planned once, not once for each column."""

from datetime import datetime, timedelta
from typing import Final

from jobs.sql.execute import rows
from jobs.sql.overview_signature import JobSpan
from jobs.sql.tables import JOB

_ENDED: Final = f"""
    SELECT few.* FROM generate_series(0, %(columns)s - 1) AS number CROSS JOIN LATERAL (
        SELECT id, function_name, lock_name, status, start_time, finish_time FROM {JOB}
        WHERE start_time IS NOT NULL AND finish_time >= %(since)s + number * %(width)s
            AND finish_time < %(since)s + (number + 1) * %(width)s
        ORDER BY finish_time LIMIT %(most)s
    ) AS few
"""


def ended_in_columns(since: datetime, width: timedelta, columns: int, *, most: int) -> list[JobSpan]:
    values = {"since": since, "width": width, "columns": columns, "most": most}
    return [JobSpan(*row) for row in rows(_ENDED, values)]
