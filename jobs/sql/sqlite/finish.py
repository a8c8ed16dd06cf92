"""A finish, result and lock included: one transaction."""

from typing import Final

from django.db import connection, transaction

from cnaasjobs.db.clock import now_sql
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.sql.tables import JOB, LOCK, OUTCOME
from jobs.states import TRANSITIONS, Verb

_FROM, _TO = (state.value for state in TRANSITIONS[Verb.FINISH])
_FINISH: Final = f"""
    UPDATE {JOB} SET status = '{_TO}', finish_time = %(now)s, run_token = NULL, fence = NULL,
        finished_devices = coalesce(%(devices)s, finished_devices), change_score = %(score)s, next_job_id = %(next)s
    WHERE id = %(job)s AND status = '{_FROM}' AND run_token = %(token)s
"""
_RELEASE: Final = f"""
    UPDATE {LOCK} SET holder_id = NULL, start_time = NULL
    WHERE name = %(lock)s AND holder_id = %(job)s AND fence = %(fence)s
"""
_STORE: Final = f"INSERT INTO {OUTCOME} (job_id, result, devices_bytes) VALUES (%(job)s, %(result)s, %(bytes)s)"


def finish(run: Run, outcome: Outcome, *, next_job_id: int | None) -> bool:
    values: dict[str, str | int | None] = {
        "job": run.job_id,
        "token": run.run_token.hex,
        "devices": outcome.finished_devices,
        "score": outcome.change_score,
        "next": next_job_id,
        "result": outcome.result,
        "bytes": outcome.devices_bytes,
        "lock": run.lock_name,
        "fence": run.fence,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        _, (values["now"],) = now_sql()  # it may have waited until it may write
        cursor.execute(_FINISH, values)
        if cursor.rowcount == 0:
            return False
        cursor.execute(_RELEASE, values)
        if outcome.result is not None or outcome.devices_bytes is not None:
            cursor.execute(_STORE, values)
    return True
