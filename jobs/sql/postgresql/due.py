"""Taking due jobs, many Beats at a time."""

from typing import Final

from cnaasjobs.db.changes import WITH_NUMBER
from jobs.sql.execute import rows
from jobs.sql.signature import Addressed
from jobs.sql.tables import JOB
from jobs.states import Status

# As an array PostgreSQL evaluates it once; as a subquery it may do so again for each row, and take more.
_TAKE: Final = f"""
    UPDATE {JOB} SET dispatched_at = statement_timestamp(), {WITH_NUMBER} WHERE id = ANY(ARRAY(
        SELECT id FROM {JOB}
        WHERE status = '{Status.SCHEDULED}' AND dispatched_at IS NULL AND NOT parked
            AND scheduled_time <= statement_timestamp()
        ORDER BY scheduled_time, id LIMIT %s FOR UPDATE SKIP LOCKED
    )) RETURNING scheduled_time, id, task_name, queue, priority
"""


def take_due(limit: int) -> list[Addressed]:
    return [Addressed(*row) for _, *row in sorted(rows(_TAKE, [limit]))]
