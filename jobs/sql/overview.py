"""What lists of jobs ask, for both databases alike. Queries of Django's took longer to build than to run."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from jobs.end_reasons import EndReason
from jobs.models import Heartbeat
from jobs.sql.execute import adapted, marks, rows
from jobs.sql.overview_signature import FailedDevices, ProcessLife, ProgressRow, Symptoms
from jobs.sql.tables import DEVICE, JOB
from jobs.states import JobDeviceState, Status

_HEARTBEAT: Final = Heartbeat._meta.db_table
_UNSENT: Final = f"status = '{Status.SCHEDULED}' AND dispatched_at IS NULL AND NOT parked"
_SENT: Final = f"status = '{Status.SCHEDULED}' AND dispatched_at IS NOT NULL"
_NONE: Final = "CAST(NULL AS bigint)"
# Each queue with messages once, from one of its rows in the index: a long one costs nothing.
_QUEUES: Final = f"""
    WITH RECURSIVE sent(queue) AS (
        SELECT min(queue) FROM {JOB} WHERE {_SENT}
        UNION ALL
        SELECT (SELECT min(queue) FROM {JOB} WHERE {_SENT} AND queue > sent.queue) FROM sent WHERE queue IS NOT NULL
    ) SELECT queue FROM sent WHERE queue IS NOT NULL
"""
# A subquery per job: if a few jobs have very many devices, PostgreSQL would join them with the whole table.
_DEVICES: Final = f"(SELECT count(*) FROM {DEVICE} WHERE job_id = last.id"
_SYMPTOMS: Final = f"""
    SELECT kind AS what, queues AS words, CASE WHEN last_seen < %s THEN 0 ELSE 1 END AS number, {_NONE} AS failed
    FROM {_HEARTBEAT} WHERE stopped_at IS NULL
    UNION ALL SELECT 'queue', queue, {_NONE}, {_NONE} FROM ({_QUEUES}) AS sent
    UNION ALL SELECT 'queue', queue, {_NONE}, {_NONE} FROM (
        SELECT DISTINCT queue FROM {JOB} WHERE {_UNSENT} AND scheduled_time < %s
    ) AS unsent
    UNION ALL SELECT 'late', '', id, {_NONE} FROM (
        SELECT id FROM {JOB} WHERE {_UNSENT} AND scheduled_time < %s ORDER BY scheduled_time, id LIMIT 1
    ) AS late
    UNION ALL SELECT 'exceptions', '', count(*), {_NONE} FROM (
        SELECT finish_time, exception_type FROM {JOB} WHERE status = '{Status.EXCEPTION}' ORDER BY id DESC LIMIT %s
    ) AS newest WHERE finish_time >= %s AND coalesce(exception_type, '') <> '{EndReason.JOB_ABORTED}'
    UNION ALL SELECT CAST(id AS text), '', {_DEVICES}), {_DEVICES} AND failed)
    FROM (SELECT id FROM {JOB} WHERE finish_time >= %s ORDER BY finish_time DESC LIMIT %s) AS last
"""
_PROGRESS: Final = f"""
    WITH counted AS (
        SELECT job_id, count(*) AS devices, count(*) FILTER (WHERE state = '{JobDeviceState.DONE}') AS done,
            count(*) FILTER (WHERE failed) AS failed
        FROM {DEVICE} WHERE job_id IN ({{ids}}) GROUP BY job_id
    )
    SELECT job_id, devices, done, failed, CAST(NULL AS text), CAST(NULL AS text) FROM counted
    UNION ALL
    SELECT id, 0, 0, 0, finished_devices, start_arguments FROM {JOB} WHERE id IN ({{ids}})
        AND finished_devices IS NOT NULL AND id NOT IN (SELECT job_id FROM counted)
"""


def symptoms(
    *, alive: datetime, served: datetime, late: datetime, recent: datetime, newest: int, last: int
) -> Symptoms:
    since, alone, due, ended = map(adapted, (alive, served, late, recent))
    found = rows(_SYMPTOMS, [since, alone, due, newest, ended, ended, last])
    numbers = {what: number for what, _, number, _ in found}
    return Symptoms(
        processes=[
            ProcessLife(what, bool(number), words) for what, words, number, _ in found if what in ("worker", "beat")
        ],
        queues=sorted({words for what, words, _, _ in found if what == "queue"}),
        late_id=numbers.get("late"),
        exceptions=numbers["exceptions"],
        devices=[FailedDevices(int(what), number, int(failed)) for what, _, number, failed in found if failed],
    )


def progress_rows(job_ids: Sequence[int]) -> list[ProgressRow]:
    if not job_ids:
        return []
    found = rows(_PROGRESS.format(ids=marks(job_ids)), [*job_ids, *job_ids])
    return [ProgressRow(*row) for row in found]
