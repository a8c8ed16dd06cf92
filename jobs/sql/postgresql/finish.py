"""A finish as one statement, result and lock included."""

from typing import Final

from django.db import connection

from cnaasjobs.db.changes import WITH_NUMBER
from cnaasjobs.db.prepared import Prepared
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.sql.tables import JOB, LOCK, OUTCOME
from jobs.states import TRANSITIONS, Verb

_FROM, _TO = (state.value for state in TRANSITIONS[Verb.FINISH])
_TYPES: Final = {"job": "bigint", "token": "uuid", "devices": "text", "score": "smallint", "next": "bigint"}
_OF_RELEASE: Final = {"lock": "text", "fence": "bigint"}
_OF_STORE: Final = {"result": "text", "bytes": "bigint"}

# Holder and fencing token say that the lock is this run's, unless a failover forgot its claim, and they were given out
# again with the next one.
_RELEASE: Final = f"""freed AS (
        UPDATE {LOCK} SET holder_id = NULL, start_time = NULL, {WITH_NUMBER}
        WHERE name = %(lock)s AND holder_id = %(job)s AND fence = %(fence)s
            AND EXISTS (SELECT 1 FROM {JOB} WHERE id = %(job)s AND run_token = %(token)s)
        RETURNING 1
    ), """
_AFTER_RELEASE: Final = " AND (SELECT count(*) FROM freed) >= 0"
_STORE: Final = (
    f"INSERT INTO {OUTCOME} (job_id, result, devices_bytes) SELECT id, %(result)s, %(bytes)s FROM done RETURNING 1"
)
_FINISH: Final = f"""
    WITH {{release}}done AS (
        UPDATE {JOB} SET status = '{_TO}', finish_time = statement_timestamp(), run_token = NULL, fence = NULL,
            finished_devices = coalesce(%(devices)s, finished_devices), change_score = %(score)s,
            next_job_id = %(next)s, {WITH_NUMBER}
        WHERE id = %(job)s AND status = '{_FROM}' AND run_token = %(token)s{{after_release}}
        RETURNING id
    )
    {{then}}
"""


def _statement(*, release: bool, store: bool) -> Prepared:
    sql = _FINISH.format(
        release=_RELEASE if release else "",
        after_release=_AFTER_RELEASE if release else "",
        then=_STORE if store else "SELECT 1 FROM done",
    )
    types = {**_TYPES, **(_OF_RELEASE if release else {}), **(_OF_STORE if store else {})}
    return Prepared(f"finish{'_release' * release}{'_store' * store}", sql, types)


_STATEMENTS: Final = {
    (release, store): _statement(release=release, store=store) for release in (True, False) for store in (True, False)
}


def finish(run: Run, outcome: Outcome, *, next_job_id: int | None) -> bool:
    values: dict[str, str | int | None] = {
        "job": run.job_id,
        "token": str(run.run_token),
        "devices": outcome.finished_devices,
        "score": outcome.change_score,
        "next": next_job_id,
        "result": outcome.result,
        "bytes": outcome.devices_bytes,
        "lock": run.lock_name,
        "fence": run.fence,
    }
    has_result = outcome.result is not None or outcome.devices_bytes is not None
    statement = _STATEMENTS[run.lock_name is not None and run.fence is not None, has_result]
    with connection.cursor() as cursor:
        statement.execute(cursor, values, rows=run.job_id)
        return cursor.fetchone() is not None
