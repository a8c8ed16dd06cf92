"""A job's log, which has bounds however many processes write it."""

from typing import Final

from jobs.sql.execute import change
from jobs.sql.signature import LogBatch
from jobs.sql.tables import LOG

_APPEND: Final = f"""
    INSERT INTO {LOG} (job_id, lines, size, text)
    SELECT %(job)s, %(lines)s, %(size)s, %(text)s
    FROM (
        SELECT coalesce(sum(lines), 0) AS lines, coalesce(sum(size), 0) AS size FROM {LOG} WHERE job_id = %(job)s
    ) AS kept
    WHERE kept.lines + %(lines)s <= %(most_lines)s AND kept.size + %(size)s <= %(most_bytes)s
"""


def append_log(job_id: int, batch: LogBatch, *, most_lines: int, most_bytes: int) -> bool:
    values = {"job": job_id, **batch._asdict(), "most_lines": most_lines, "most_bytes": most_bytes}
    return change(_APPEND, values) == 1
