"""A job's log, which has bounds however many processes write it."""

from typing import Final

from jobs.run import Run
from jobs.sql.execute import adapted, change
from jobs.sql.signature import LogBatch
from jobs.sql.tables import JOB, LOG

# A process that has left its run has no token any more, but may have lines. By its start a run is told from that of
# another job to which a restore or a failover gave the same number.
_APPEND: Final = f"""
    INSERT INTO {LOG} (job_id, lines, size, text)
    SELECT %(job)s, %(lines)s, %(size)s, %(text)s
    FROM (
        SELECT coalesce(sum(lines), 0) AS lines, coalesce(sum(size), 0) AS size FROM {LOG} WHERE job_id = %(job)s
    ) AS kept
    WHERE kept.lines + %(lines)s <= %(most_lines)s AND kept.size + %(size)s <= %(most_bytes)s
        AND EXISTS (SELECT 1 FROM {JOB} WHERE id = %(job)s AND start_time = %(started)s)
"""


def append_log(run: Run, batch: LogBatch, *, most_lines: int, most_bytes: int) -> bool:
    of_run = {"job": run.job_id, "started": adapted(run.start_time)}
    return change(_APPEND, {**of_run, **batch._asdict(), "most_lines": most_lines, "most_bytes": most_bytes}) == 1
