"""The two transitions of every job, claim and finish, each as one statement: one round trip and one commit.

Only ``jobs.lifecycle`` calls these. Those for PostgreSQL alone do what its general forms do, which decide whatever they
leave open. In each the lock's row is locked before the job's, as everywhere.

PostgreSQL plans them once for each connection, and only when there have been many jobs: of a table of a few pages it
would plan to read all, and keep to that for a while when it has grown.
"""

from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from cnaasjobs.db import clock
from cnaasjobs.db.prepared import Prepared
from jobs.models import Job, JobOutcome
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.states import TRANSITIONS, Verb
from locks.models import Lock

_JOB: Final = Job._meta.db_table
_LOCK: Final = Lock._meta.db_table
_CLAIM_FROM, _CLAIM_TO = (state.value for state in TRANSITIONS[Verb.CLAIM])
_FINISH_FROM, _FINISH_TO = (state.value for state in TRANSITIONS[Verb.FINISH])

_STARTED: Final = (
    "attempt",
    "retries",
    "start_arguments",
    "lock_name",
    "fence",
    "scheduled_by",
    "comment",
    "ticket_ref",
)
_START: Final = f"""
    UPDATE {_JOB} SET status = '{_CLAIM_TO}', start_time = {{now}}, run_token = %(token)s, fence = %(fence)s,
        worker_id = %(worker_id)s, worker = %(worker)s, attempt = attempt + 1, finished_devices = '[]', parked = FALSE,
        waiting_since = NULL
    WHERE id = %(job)s AND status = '{_CLAIM_FROM}' AND task_name = %(task)s AND scheduled_time <= {{now}}
        AND (lock_name IS NULL OR lock_name = %(lock)s)
    RETURNING {", ".join(_STARTED)}
"""

# "mine" locks the job's row as it is now, so that nothing can come between taking the lock and starting the job.
_CLAIM: Final = f"""
    WITH free AS (
        SELECT 1 FROM {_LOCK} WHERE name = %(lock)s AND holder_id IS NULL FOR UPDATE
    ), mine AS (
        SELECT id, scheduled_time FROM {_JOB}
        WHERE id = %(job)s AND status = '{_CLAIM_FROM}' AND task_name = %(task)s AND lock_name = %(lock)s
            AND scheduled_time <= statement_timestamp() AND EXISTS (SELECT 1 FROM free)
        FOR UPDATE
    ), taken AS (
        UPDATE {_LOCK} SET holder_id = %(job)s, start_time = statement_timestamp(), fence = fence + 1
        WHERE name = %(lock)s AND holder_id IS NULL AND EXISTS (SELECT 1 FROM mine) AND NOT EXISTS (
            SELECT 1 FROM {_JOB} AS ahead
            WHERE ahead.status = '{_CLAIM_FROM}' AND ahead.lock_name = %(lock)s
                AND (ahead.scheduled_time, ahead.id) < ((SELECT scheduled_time FROM mine), %(job)s)
        )
        RETURNING fence
    )
    UPDATE {_JOB} AS job SET status = '{_CLAIM_TO}', start_time = statement_timestamp(), run_token = %(token)s,
        fence = taken.fence, worker_id = %(worker_id)s, worker = %(worker)s, attempt = attempt + 1,
        finished_devices = '[]', parked = FALSE, waiting_since = NULL
    FROM taken WHERE job.id = %(job)s
    RETURNING {", ".join(f"job.{column}" for column in _STARTED)}
"""

_RELEASE: Final = f"""freed AS (
        UPDATE {_LOCK} SET holder_id = NULL, start_time = NULL
        WHERE name = %(lock)s AND holder_id = %(job)s AND fence = %(fence)s
        RETURNING 1
    ), """
_FINISH: Final = """
    WITH {release}done AS (
        UPDATE {job} SET status = '{target}', finish_time = statement_timestamp(), run_token = NULL, fence = NULL,
            finished_devices = coalesce(%(devices)s, finished_devices), change_score = %(score)s
        WHERE id = %(job)s AND status = '{source}' AND run_token = %(token)s{after_release}
        RETURNING id
    )
    {then}
"""
_STORE: Final = f"INSERT INTO {JobOutcome._meta.db_table} (job_id, result) SELECT id, %(result)s FROM done RETURNING 1"


def _finish_statement(*, release: bool, store: bool) -> str:
    return _FINISH.format(
        job=_JOB,
        source=_FINISH_FROM,
        target=_FINISH_TO,
        release=_RELEASE if release else "",
        after_release=" AND (SELECT count(*) FROM freed) >= 0" if release else "",
        then=_STORE if store else "SELECT 1 FROM done",
    )


_MANY: Final = 1000
_OF_CLAIM: Final = {
    "job": "bigint",
    "task": "text",
    "lock": "text",
    "token": "uuid",
    "worker_id": "bigint",
    "worker": "text",
}
_OF_FINISH: Final = {"job": "bigint", "token": "uuid", "devices": "text", "score": "smallint"}
_OF_RELEASE: Final = {"lock": "text", "fence": "bigint"}

_PREPARED_START: Final = Prepared("start", _START.format(now="statement_timestamp()"), {**_OF_CLAIM, "fence": "bigint"})
_PREPARED_CLAIM: Final = Prepared("claim", _CLAIM, _OF_CLAIM)
_PREPARED_FINISHES: Final = {
    (release, store): Prepared(
        f"finish{'_release' * release}{'_store' * store}",
        _finish_statement(release=release, store=store),
        {**_OF_FINISH, **(_OF_RELEASE if release else {}), **({"result": "text"} if store else {})},
    )
    for release in (True, False)
    for store in (True, False)
}


class Claimant(NamedTuple):
    """Who claims."""

    run_token: UUID
    worker_id: int | None
    worker: str


def start(
    job_id: int, task_name: str, by: Claimant, *, lock_name: str | None = None, fence: int | None = None
) -> Run | None:
    """Start a job that needs no lock, or whose lock this transaction has just taken under ``fence``."""
    values = {**_values(job_id, task_name, by, lock_name), "fence": fence}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _execute(cursor, _PREPARED_START, values)
        else:
            _, (now,) = clock.now_sql()
            cursor.execute(_START.format(now="%(now)s"), {**values, "now": now})
        return _run(job_id, by, cursor.fetchone())


def claim_with_lock(job_id: int, task_name: str, by: Claimant, *, lock_name: str) -> Run | None:
    """PostgreSQL: take the free lock and start the job, if it is its turn. None decides nothing."""
    with connection.cursor() as cursor:
        _execute(cursor, _PREPARED_CLAIM, _values(job_id, task_name, by, lock_name))
        return _run(job_id, by, cursor.fetchone())


def _values(job_id: int, task_name: str, by: Claimant, lock_name: str | None) -> dict[str, str | int | None]:
    return {
        "job": job_id,
        "task": task_name,
        "lock": lock_name,
        "token": Job._meta.get_field("run_token").get_db_prep_value(by.run_token, connection),
        "worker_id": by.worker_id,
        "worker": by.worker,
    }


def _execute(cursor: CursorWrapper, statement: Prepared, values: dict[str, str | int | None]) -> None:
    if cast("int", values["job"]) < _MANY:
        cursor.execute(statement.sql, values)
    else:
        statement.execute(cursor, values)


def _run(job_id: int, by: Claimant, row: tuple[Any, ...] | None) -> Run | None:
    if row is None:
        return None
    return Run(job_id=job_id, run_token=by.run_token, worker=by.worker, **dict(zip(_STARTED, row, strict=True)))


def finish(job_id: int, run_token: UUID, outcome: Outcome, *, lock_name: str | None, fence: int | None) -> bool:
    """PostgreSQL: end the job with its result and free its lock; False if somebody else was first.

    The lock is freed either way: by holder and token it is this run's, and whoever ended the run freed it too.
    """
    parameters: dict[str, str | int | None] = {
        "job": job_id,
        "token": str(run_token),
        "devices": outcome.finished_devices,
        "score": outcome.change_score,
        "result": outcome.result,
        "lock": lock_name,
        "fence": fence,
    }
    release = lock_name is not None and fence is not None
    with connection.cursor() as cursor:
        _execute(cursor, _PREPARED_FINISHES[release, outcome.result is not None], parameters)
        return cursor.fetchone() is not None
