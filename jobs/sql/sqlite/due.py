"""Taking due jobs, one Beat at a time."""

from typing import Final

from cnaasjobs.db.clock import now_sql
from jobs.sql.execute import rows
from jobs.sql.signature import Addressed
from jobs.sql.tables import JOB
from jobs.states import Status

_TAKE: Final = f"""
    UPDATE {JOB} SET dispatched_at = %s WHERE id IN (
        SELECT id FROM {JOB}
        WHERE status = '{Status.SCHEDULED}' AND dispatched_at IS NULL AND NOT parked AND scheduled_time <= %s
        ORDER BY scheduled_time, id LIMIT %s
    ) RETURNING scheduled_time, id, task_name, queue, priority
"""


def take_due(limit: int) -> list[Addressed]:
    _, (now,) = now_sql()
    return [Addressed(*row) for _, *row in sorted(rows(_TAKE, [now, now, limit]))]
