"""Counts the jobs that ended, those that are alike together, so that none of them is read into this process.

The difference of two times is the only part that the databases write differently.
"""

from collections.abc import Sequence
from typing import Final

from jobs.sql.execute import adapted, rows
from jobs.sql.signature import Alike, FeedSpan
from jobs.sql.tables import DEVICE, JOB, MILESTONE
from jobs.states import JobDeviceState, Milestone, Status

_SPAN: Final = "change > %(above)s AND change <= %(upto)s AND finish_time >= %(since)s"
_LAST: Final = f"SELECT change FROM {JOB} WHERE {_SPAN} ORDER BY change LIMIT 1 OFFSET %(offset)s"
_PARKED: Final = f"FROM {MILESTONE} WHERE job_id = job.id AND step = '{Milestone.PARKED}' ORDER BY id LIMIT 1"
_SENT: Final = "coalesce(dispatched_at, scheduled_time)"
# Each time in a job's life, by when it begins and ends. A job that never started has none.
_TIMES: Final = {
    "ran": ("start_time", "finish_time"),
    "late": ("scheduled_time", "start_time"),
    "slot": (_SENT, "start_time"),
    "lock": (f"CASE WHEN lock_name IS NOT NULL AND start_time IS NOT NULL THEN (SELECT time {_PARKED}) END", _SENT),
}
_ALIKE: Final = f"""
    WITH ended AS MATERIALIZED (
        SELECT function_name, {{times}},
            CASE WHEN status = '{Status.FINISHED}' THEN '' ELSE exception_type END AS exception_type,
            status = '{Status.FINISHED}'
                AND EXISTS (SELECT 1 FROM {DEVICE} WHERE job_id = job.id AND failed) AS has_failed
        FROM {JOB} AS job WHERE {_SPAN}
    )
    SELECT function_name, exception_type, has_failed, count(*), {{buckets}}, {{sums}} FROM ended
    GROUP BY function_name, exception_type, has_failed, {{buckets}}
"""
_DEVICES: Final = f"""
    SELECT count(CASE WHEN state = '{JobDeviceState.DONE}' AND NOT failed THEN 1 END),
        count(CASE WHEN failed THEN 1 END),
        count(CASE WHEN state <> '{JobDeviceState.DONE}' THEN 1 END)
    FROM {DEVICE} WHERE job_id IN (SELECT id FROM {JOB} WHERE {_SPAN})
"""


def last_of(span: FeedSpan, count: int) -> int | None:
    """The change of the last one, if the first ``count`` jobs of the span end before the span does."""
    found = rows(_LAST, {**_values(span), "offset": count - 1})
    return found[0][0] if found else None


def count_alike(span: FeedSpan, bounds: Sequence[float], *, seconds: str) -> list[Alike]:
    """``seconds`` is the database's expression for the seconds between {begin} and {end}."""
    times = (f"{seconds.format(begin=begin, end=end)} AS {name}" for name, (begin, end) in _TIMES.items())
    steps = " ".join(f"WHEN {{name}} <= {bound} THEN {place}" for place, bound in enumerate(bounds))
    buckets = (
        f"CASE WHEN {name} IS NULL THEN NULL {steps.format(name=name)} ELSE {len(bounds)} END" for name in _TIMES
    )
    sums = (f"sum(CASE WHEN {name} < 0 THEN 0 ELSE {name} END)" for name in _TIMES)
    statement = _ALIKE.format(times=", ".join(times), buckets=", ".join(buckets), sums=", ".join(sums))
    return [
        Alike(function, exception, bool(failed), jobs, tuple(more[: len(_TIMES)]), tuple(more[len(_TIMES) :]))
        for function, exception, failed, jobs, *more in rows(statement, _values(span))
    ]


def count_devices(span: FeedSpan) -> tuple[int, int, int]:
    ok, failed, not_begun = rows(_DEVICES, _values(span))[0]
    return ok, failed, not_begun


def _values(span: FeedSpan) -> dict[str, object]:
    return {**span._asdict(), "since": adapted(span.since)}
