"""A claim as one statement, for a job without a lock and for one with.

PostgreSQL plans it once for each connection, and only when there have been many jobs; see ``Prepared.execute``.
"""

from typing import Final

from django.db import connection

from cnaasjobs.db.changes import WITH_NUMBER
from cnaasjobs.db.prepared import Prepared
from jobs.run import Run
from jobs.sql.signature import Claimant
from jobs.sql.tables import JOB, LOCK, STARTED, run_of
from jobs.states import TRANSITIONS, Verb

_FROM, _TO = (state.value for state in TRANSITIONS[Verb.CLAIM])
_TYPES: Final = {"job": "bigint", "task": "text", "token": "uuid", "worker_id": "bigint", "worker": "text"}

_MINE: Final = f"""id = %(job)s AND status = '{_FROM}' AND task_name = %(task)s
        AND scheduled_time <= statement_timestamp() AND unapproved IS NULL"""
_START: Final = f"""SET status = '{_TO}', run_token = %(token)s, worker_id = %(worker_id)s, worker = %(worker)s,
        attempt = attempt + 1, finished_devices = '[]', parked = FALSE, waiting_since = NULL, {WITH_NUMBER}"""

_WITHOUT_LOCK: Final = f"""
    UPDATE {JOB} {_START}, start_time = statement_timestamp()
    WHERE {_MINE} AND lock_name IS NULL
    RETURNING {", ".join(STARTED)}
"""
# In the order of the line, which is the index's. Asked only whether any job is ahead, PostgreSQL would scan the whole
# table once there had been a long line, because it expects to find one soon.
_FIRST: Final = f"""
    SELECT scheduled_time, id FROM {JOB} WHERE status = '{_FROM}' AND lock_name = %(lock)s AND unapproved IS NULL
    ORDER BY scheduled_time, id LIMIT 1
"""
# "free" and "mine" lock the current rows, the lock's first: nothing can come between the check and the claim.
# The statement may have waited for the lock's row while its holder ended: the run begins when it has the lock.
_WITH_LOCK: Final = f"""
    WITH free AS (
        SELECT 1 FROM {LOCK} WHERE name = %(lock)s AND holder_id IS NULL FOR UPDATE
    ), mine AS (
        SELECT id, scheduled_time FROM {JOB}
        WHERE {_MINE} AND lock_name = %(lock)s AND EXISTS (SELECT 1 FROM free)
        FOR UPDATE
    ), taken AS (
        UPDATE {LOCK} SET holder_id = %(job)s, start_time = clock_timestamp(), fence = fence + 1, {WITH_NUMBER}
        WHERE name = %(lock)s AND EXISTS (SELECT 1 FROM mine) AND NOT EXISTS (
            SELECT 1 FROM ({_FIRST}) AS first
            WHERE (first.scheduled_time, first.id) < ((SELECT scheduled_time FROM mine), %(job)s)
        )
        RETURNING fence, start_time
    )
    UPDATE {JOB} AS job {_START}, start_time = taken.start_time, fence = taken.fence
    FROM taken WHERE job.id = %(job)s
    RETURNING {", ".join(f"job.{column}" for column in STARTED)}
"""
_CLAIM: Final = Prepared("claim", _WITHOUT_LOCK, _TYPES)
_CLAIM_WITH_LOCK: Final = Prepared("claim_with_lock", _WITH_LOCK, {**_TYPES, "lock": "text"})


def claim(job_id: int, task_name: str, by: Claimant, *, lock_name: str | None) -> Run | None:
    values: dict[str, str | int | None] = {
        "job": job_id,
        "task": task_name,
        "token": str(by.run_token),
        "worker_id": by.worker_id,
        "worker": by.worker,
    }
    with connection.cursor() as cursor:
        if lock_name is None:
            _CLAIM.execute(cursor, values, rows=job_id)
        else:
            _CLAIM_WITH_LOCK.execute(cursor, {**values, "lock": lock_name}, rows=job_id)
        return run_of(job_id, by, cursor.fetchone())
