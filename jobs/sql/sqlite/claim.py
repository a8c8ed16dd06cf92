"""A claim in a transaction: one statement for a job without a lock, else two."""

from datetime import UTC
from typing import Any, Final

from django.db import connection, transaction

from cnaasjobs.db.clock import now_sql
from jobs.run import Run
from jobs.sql.signature import Claimant
from jobs.sql.tables import JOB, LOCK, STARTED, run_of
from jobs.states import TRANSITIONS, Verb

_FROM, _TO = (state.value for state in TRANSITIONS[Verb.CLAIM])

# IS, so that NULL (no lock) equals NULL.
_MINE: Final = f"""id = %(job)s AND status = '{_FROM}' AND task_name = %(task)s AND scheduled_time <= %(now)s
        AND lock_name IS %(lock)s AND unapproved IS NULL"""
_TAKE: Final = f"""
    UPDATE {LOCK} SET holder_id = %(job)s, start_time = %(now)s, fence = fence + 1
    WHERE name = %(lock)s AND holder_id IS NULL AND EXISTS (
        SELECT 1 FROM {JOB} AS mine WHERE {_MINE} AND NOT EXISTS (
            SELECT 1 FROM {JOB} AS ahead
            WHERE ahead.status = '{_FROM}' AND ahead.lock_name = %(lock)s AND ahead.unapproved IS NULL
                AND (ahead.scheduled_time, ahead.id) < (mine.scheduled_time, mine.id)
        )
    )
    RETURNING fence
"""
_START: Final = f"""
    UPDATE {JOB} SET status = '{_TO}', start_time = %(now)s, run_token = %(token)s, fence = %(fence)s,
        worker_id = %(worker_id)s, worker = %(worker)s, attempt = attempt + 1, finished_devices = '[]', parked = FALSE,
        waiting_since = NULL
    WHERE {_MINE}
    RETURNING {", ".join(STARTED)}
"""


def claim(job_id: int, task_name: str, by: Claimant, *, lock_name: str | None) -> Run | None:
    values: dict[str, Any] = {
        "job": job_id,
        "task": task_name,
        "token": by.run_token.hex,
        "worker_id": by.worker_id,
        "worker": by.worker,
        "lock": lock_name,
        "fence": None,
    }
    with transaction.atomic():
        # Now that it may write: it may have waited for that while the lock's holder ended.
        _, (values["now"],) = now_sql()
        if lock_name is not None:
            taken = _row(_TAKE, values)
            if taken is None:
                return None
            (values["fence"],) = taken
        row = _row(_START, values)
        return run_of(job_id, by, row and (*row[:-1], row[-1].replace(tzinfo=UTC)))


def _row(statement: str, values: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row
