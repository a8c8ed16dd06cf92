"""Leaving a run, in one message to the server. The job's row is locked first; each statement after that has a snapshot
of its own, which shows what was committed before: two participants that leave at once cannot each think that the other
stays.
"""

from typing import Final

from cnaasjobs.db.changes import WITH_NUMBER
from jobs.run import Run
from jobs.sql.device_signature import Batch, Leaving
from jobs.sql.devices import leaving_of, of_run
from jobs.sql.execute import rows
from jobs.sql.postgresql.devices import ALL_OVER, ME, OTHERS, WAITING, changes, given
from jobs.sql.tables import FLEET, JOB, PARTICIPANT
from jobs.states import RUNNING

_LOCK: Final = f"SELECT 1 FROM {JOB} WHERE id = %(job)s FOR UPDATE;"
_NOTE_END: Final = f"""
    UPDATE {FLEET} SET "end" = coalesce("end", %(new_end)s) WHERE job_id = %(job)s AND EXISTS {ME};
"""
_LEAVE: Final = f"""
    WITH facts AS (
        SELECT {ME} AS me, job.run_token = %(token)s AS named, {OTHERS} AS others, {WAITING} AS waiting, fleet."end"
        FROM {JOB} AS job JOIN {FLEET} AS fleet ON fleet.job_id = job.id
        WHERE job.id = %(job)s AND job.status = '{RUNNING}'
    ), decided AS (
        SELECT *, others = 0 AND waiting AND "end" IS NULL AS orphaned,
            me IS NOT NULL AND (others > 0 OR NOT waiting OR "end" IS NOT NULL OR %(though_waiting)s) AS goes
        FROM facts
    ), heir AS (
        SELECT token, worker_id, worker FROM {PARTICIPANT} WHERE job_id = %(job)s AND token <> %(token)s
        ORDER BY joined_at LIMIT 1
    ), gone AS (
        DELETE FROM {PARTICIPANT} WHERE token = %(token)s AND EXISTS (SELECT 1 FROM decided WHERE goes)
    ), handed_on AS (
        UPDATE {JOB} AS job SET run_token = coalesce(heir.token, %(nobody)s), worker_id = heir.worker_id,
            worker = coalesce(heir.worker, job.worker), {WITH_NUMBER}
        FROM decided LEFT JOIN heir ON TRUE
        WHERE job.id = %(job)s AND named AND goes AND (others > 0 OR orphaned)
    ), orphan AS (
        UPDATE {FLEET} SET orphan = %(orphan)s FROM decided WHERE job_id = %(job)s AND goes AND orphaned
    )
    SELECT me, named, goes, orphaned, others, "end", tally.* FROM decided LEFT JOIN ({ALL_OVER}) AS tally
        ON CASE WHEN goes THEN others = 0 AND NOT orphaned ELSE me IS NULL AND named END
"""


def leave(run: Run, batch: Batch, *, end: str | None, though_waiting: bool, orphan: str) -> Leaving:
    values = {**of_run(run), **given(batch), "new_end": end, "though_waiting": though_waiting, "orphan": orphan}
    written = "".join(f"WITH {change} SELECT 1 FROM {change.split()[0]};" for change in changes(batch))
    return leaving_of(rows(_LOCK + written + (_NOTE_END if end is not None else "") + _LEAVE, values))
