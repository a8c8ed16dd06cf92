"""Statements about the devices of a job and its participants that are the same for both databases."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import uuid4

from jobs.run import Run
from jobs.sql.device_signature import FleetStanding, Leaving, NewFleet, Taken, Tally
from jobs.sql.execute import change, rows
from jobs.sql.tables import DEVICE, FLEET, JOB, PARTICIPANT
from jobs.states import RUNNING, JobDeviceState

CROWDED_SECONDS: Final = 0.3  # a job that waits longer than this for a slot is given a participant's

# How slow a device was in the last job that had it: rough steps, so that devices that are about as slow keep the order
# of the selection. Rows are written, and taken, in the order of ``id``: the slowest first, or the last of them would
# hold up the end of the job. ``place`` stays the order of the result.
_STEPS: Final = (600, 60, 10, 2)  # seconds
_SLOWNESS: Final = " ".join(
    f"WHEN {{seconds}} >= {least} THEN {n}" for n, least in zip((4, 3, 2, 1), _STEPS, strict=True)
)
# A CASE, so that PostgreSQL searches from the newest row on. If its statistics were taken just after a sync began, it
# expects hardly any rows to be done, and would read and sort all that a device ever had: see _STILL_MINE.
IS_DONE: Final = f"CASE WHEN {{device}}.state = '{JobDeviceState.DONE}' THEN TRUE ELSE FALSE END"
SLOWNESS: Final = f"""(
        SELECT CASE {_SLOWNESS} ELSE 0 END FROM {DEVICE} AS last
        WHERE last.host = given.host AND {IS_DONE.format(device="last")} ORDER BY last.job_id DESC LIMIT 1
    )"""

THIS_RUN: Final = f"SELECT 1 FROM {JOB} WHERE id = %(job)s AND status = '{RUNNING}' AND run_token = %(token)s"
# A device that was taken ahead is WAITING too, but names its participant.
FREE: Final = f"state = '{JobDeviceState.WAITING}' AND participant IS NULL"
MINE: Final = f"participant = %(token)s AND state <> '{JobDeviceState.DONE}'"
_KEY_BYTES: Final = 6  # of a device in the result, beside its host and report: quotes, colon, comma, spaces
ALL_OVER: Final = f"""
    SELECT count(*) AS devices, coalesce(sum(CASE WHEN state = '{JobDeviceState.DONE}' THEN 1 ELSE 0 END), 0) AS over,
        coalesce(sum(CASE WHEN failed THEN 1 ELSE 0 END), 0) AS failed, coalesce(max(change_score), 0) AS max_score,
        coalesce(sum(CASE WHEN failed AND report IS NULL THEN 1 ELSE 0 END), 0) AS unreported,
        coalesce(sum(CASE WHEN report IS NOT NULL THEN {{report}} + {{host}} + {_KEY_BYTES} ELSE 0 END), 0) AS size
    FROM {DEVICE} WHERE job_id = %(job)s
"""
_FINISHED: Final = f"""
    SELECT host FROM {DEVICE} WHERE job_id = %(job)s AND state = '{JobDeviceState.DONE}' AND NOT taken_back
    ORDER BY finish_time, place
"""
_TAKEN: Final = f"""
    SELECT id, host, tries, state = '{JobDeviceState.WAITING}' FROM {DEVICE}
    WHERE job_id = %(job)s AND {MINE} ORDER BY id
"""
REPORTS: Final = f"SELECT host, report FROM {DEVICE} WHERE job_id = %s AND report IS NOT NULL ORDER BY place"
# Each by its place in the index, however many rows a device has.
_NEWEST_DONE: Final = f"""
    WITH given(host) AS (VALUES {{hosts}})
    SELECT (
        SELECT id FROM {DEVICE} AS done WHERE done.host = given.host AND {IS_DONE.format(device="done")}
        ORDER BY done.job_id DESC LIMIT 1
    ) FROM given
"""
_NOTE_END: Final = f"""
    UPDATE {FLEET} SET "end" = %(end)s WHERE job_id = %(job)s AND "end" IS NULL
        AND EXISTS (SELECT 1 FROM {PARTICIPANT} WHERE token = %(token)s)
"""


def of_run(run: Run) -> dict[str, Any]:
    return {
        "job": run.job_id,
        "token": run.run_token.hex,
        "worker": run.worker,
        "fence": run.fence,
        "nobody": uuid4().hex,
    }


def of_beginning(run: Run, fleet: NewFleet, worker_id: int | None) -> dict[str, Any]:
    return {**of_run(run), **asdict(fleet), "attempt": run.attempt, "worker_id": worker_id}


def standing_from(found: Sequence[tuple[Any, ...]]) -> FleetStanding:
    """Made from columns me, abort_reason, fence, end, and perhaps others, waiting, crowded. No row: the run is over."""
    if not found:
        return FleetStanding(is_mine=False)
    me, abort_reason, fence, end, *more = found[0]
    beside = dict(zip(("others", "waiting", "crowded"), more, strict=False))
    return FleetStanding(
        is_mine=me is not None,
        abort_reason=abort_reason,
        fence=fence,
        end=end,
        others=beside.get("others", 0),
        waiting=bool(beside.get("waiting")),
        crowded=bool(beside.get("crowded")),
    )


def leaving_of(found: Sequence[tuple[Any, ...]]) -> Leaving:
    """Made from the columns me, named, goes, orphaned, others, end, and a tally's. No row: the run is over."""
    if not found:
        return Leaving(gone=True, last=False)
    me, named, goes, orphaned, others, end, *tally = found[0]
    if me is None:  # it left earlier (as the last one out, if the run still names it), or was judged lost
        return Leaving(gone=not named, last=bool(named), end=end, tally=_tally_of(tally) if named else None)
    if not goes:
        return Leaving(gone=False, last=False, end=end)
    if others or orphaned:
        return Leaving(gone=True, last=False, end=end)
    return Leaving(gone=False, last=True, end=end, tally=_tally_of(tally))


def _tally_of(columns: Sequence[Any]) -> Tally:
    devices, over, failed, max_score, unreported, size = map(int, columns)
    return Tally(devices=devices, over=over, failed=failed, max_score=max_score, unreported=unreported, size=size)


def clear_rows(run: Run, this_run: str) -> None:
    """Delete the rows of an earlier attempt, unless this run has written its own. If it is over, they may be a later
    one's.

    Args:
        this_run: the statement that finds the job's row as long as it is this run's (``THIS_RUN``), and locks it where
        several processes write.
    """
    values = of_run(run)
    if rows(this_run, values) and not rows(f"SELECT 1 FROM {PARTICIPANT} WHERE token = %(token)s", values):
        for table in (DEVICE, PARTICIPANT, FLEET):
            change(f"DELETE FROM {table} WHERE job_id = %(job)s", values)


def fingerprint(job_id: int) -> str | None:
    found = rows(f"SELECT fingerprint FROM {FLEET} WHERE job_id = %s", [job_id])
    return found[0][0] if found else None


def taken_from(row: tuple[Any, ...]) -> Taken:
    """Of the columns id, host, tries and ahead."""
    device_id, host, tries, ahead = row
    return Taken(device_id, host, tries, bool(ahead))


def taken_devices(run: Run) -> list[Taken]:
    return [taken_from(row) for row in rows(_TAKEN, of_run(run))]


def note_end(run: Run, end: str) -> None:
    change(_NOTE_END, {**of_run(run), "end": end})


def finished_hosts(job_id: int) -> list[str]:
    return [host for (host,) in rows(_FINISHED, {"job": job_id})]


def as_list(hosts: Sequence[str]) -> str:
    """The JSON list that ``finished_devices`` holds."""
    return json.dumps(hosts, ensure_ascii=False)


def newest_done(hosts: Sequence[str]) -> list[int]:
    if not hosts:
        return []
    found = rows(_NEWEST_DONE.format(hosts=", ".join(["(%s)"] * len(hosts))), hosts)
    return [row_id for (row_id,) in found if row_id is not None]


def device_reports(job_id: int) -> list[tuple[str, str]]:
    return [(host, report) for host, report in rows(REPORTS, [job_id])]


def tally_of(job_id: int, statement: str) -> Tally | None:
    found = _tally_of(rows(statement, {"job": job_id})[0])
    return found if found.devices else None
