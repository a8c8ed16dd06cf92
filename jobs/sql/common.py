"""Statements that are the same for PostgreSQL and SQLite."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from cnaasjobs.db.clock import now_sql
from jobs.outcome import of_devices
from jobs.run import Standing
from jobs.sql.devices import device_reports
from jobs.sql.execute import change, marks, rows
from jobs.sql.signature import Addressed, StoredOutcome
from jobs.sql.tables import BLOCK, JOB, LOCK, OUTCOME, WATERMARK
from jobs.states import TRANSITIONS, Verb

_WAITING: Final = TRANSITIONS[Verb.CLAIM][0].value

_FIRST: Final = f"""
    UPDATE {JOB} SET parked = FALSE, dispatched_at = {{now}} WHERE parked AND status = '{_WAITING}' AND id = (
        SELECT id FROM {JOB} WHERE status = '{_WAITING}' AND lock_name = %s AND scheduled_time <= {{now}}
            AND unapproved IS NULL
        ORDER BY scheduled_time, id LIMIT 1
    ) RETURNING id, task_name, queue, priority
"""
_STANDING: Final = f"""
    SELECT job.run_token, job.abort_reason, held.fence FROM {JOB} AS job
    LEFT JOIN {LOCK} AS held ON held.name = job.lock_name AND held.holder_id = job.id
    WHERE job.id = %s
"""
_OUTCOMES: Final = f"SELECT job_id, result, exception, devices_bytes FROM {OUTCOME} WHERE job_id IN ({{ids}})"

_ABOVE: Final = f"SELECT count(*) FROM {JOB} WHERE id >= %s"
# The watermark is guessed: for an id that it does not know while planning, PostgreSQL expects a third of all rows above
# it, and starts parallel workers. A subquery that CASE passes over is not run.
_KEPT: Final = f"""
    SELECT below, (SELECT sum(jobs) FROM {BLOCK}), CASE below WHEN %s THEN ({_ABOVE}) END FROM {WATERMARK}
"""
_BLOCK_OF: Final = f"""
    SELECT id, before, jobs FROM (
        SELECT id, jobs, sum(jobs) OVER (ORDER BY id) - jobs AS before FROM {BLOCK}
    ) AS counted WHERE before <= %s ORDER BY id DESC LIMIT 1
"""
_COUNT: Final = f"""
    INSERT INTO {BLOCK} (id, jobs)
    SELECT id / {{block}}, count(*) FROM {JOB} WHERE id >= %s AND id < %s GROUP BY 1
    ON CONFLICT (id) DO UPDATE SET jobs = {BLOCK}.jobs + excluded.jobs
"""


def wake_first(lock_name: str) -> Addressed | None:
    """Hand-written, because every end of a job with a lock comes here."""
    now, params = now_sql()
    found = rows(_FIRST.format(now=now), [*params, lock_name, *params])
    return Addressed(*found[0]) if found else None


def standing_of(job_id: int) -> Standing | None:
    """Hand-written: a sync asks before each device, commit and confirm; building a query cost more than that."""
    found = rows(_STANDING, [job_id])
    if not found:
        return None
    token, abort_reason, fence = found[0]
    return Standing(UUID(token) if isinstance(token, str) else token, abort_reason, fence)


def whole_outcomes(job_ids: Sequence[int]) -> list[StoredOutcome]:
    """A result that is made of device rows is made here; None if these are gone by then."""
    return [
        StoredOutcome(job_id, result if size is None else _of_devices(job_id, size), exception, None)
        for job_id, result, exception, size in rows(_OUTCOMES.format(ids=marks(job_ids)), job_ids)
    ]


def _of_devices(job_id: int, size: int) -> str | None:
    """``size``: the bytes of its devices' reports, which none may have."""
    reports = device_reports(job_id) if size else []
    return of_devices(reports) if reports or not size else None


def kept_total(guessed_below: int) -> tuple[int, int, int | None]:
    found = rows(_KEPT, [guessed_below, guessed_below])
    below, kept, above = found[0] if found else (0, 0, None)
    return below, int(kept or 0), above


def count_from(job_id: int) -> int:
    return int(rows(_ABOVE, [job_id])[0][0])


def count_where(condition: str, parameters: Sequence[Any]) -> int:
    return int(rows(f"SELECT count(*) FROM {JOB} WHERE {condition}", parameters)[0][0])


def count_up_to(most: int, conditions: Sequence[tuple[str, str, Sequence[Any]]]) -> list[int]:
    counts = (
        f"(SELECT count(*) FROM (SELECT 1 FROM {JOB} WHERE {each} ORDER BY {order} LIMIT {most:d}) AS few)"
        for each, order, _ in conditions
    )
    return list(rows(f"SELECT {', '.join(counts)}", [value for *_, values in conditions for value in values])[0])


def ids_up_to(most: int, conditions: Sequence[tuple[str, str, Sequence[Any]]]) -> list[int]:
    parts = (
        f"SELECT id FROM (SELECT id FROM {JOB} WHERE {each} ORDER BY {order} LIMIT {most:d}) AS part"
        for each, order, _ in conditions
    )
    sql = f"{' UNION ALL '.join(parts)} LIMIT {most:d}"
    return [job_id for (job_id,) in rows(sql, [value for *_, values in conditions for value in values])]


def block_of(number: int) -> tuple[int, int, int]:
    found = rows(_BLOCK_OF, [number])
    block, before, jobs = found[0] if found else (0, 0, 0)
    return block, int(before), jobs


def count_into_blocks(first: int, below: int, *, block: int) -> None:
    change(_COUNT.format(block=block), [first, below])


def outcomes_by_size(job_ids: Sequence[int], limit: int, *, size: str) -> list[StoredOutcome]:
    """Results of ``limit`` bytes or more are left out, and their size returned; ``size`` is the expression for it."""
    short = f"CASE WHEN {size} < {limit} THEN result END"
    long = f"coalesce(devices_bytes, CASE WHEN {size} >= {limit} THEN {size} END)"
    sql = f"SELECT job_id, {short}, exception, {long} FROM {OUTCOME} WHERE job_id IN ({marks(job_ids)})"
    return list(map(StoredOutcome._make, rows(sql, job_ids)))
