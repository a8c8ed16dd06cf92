"""The devices of a job, which on SQLite has one participant: one process at a time writes there."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from cnaasjobs.db.clock import now_sql
from jobs.run import Run
from jobs.sql import devices as common
from jobs.sql.device_signature import Batch, FleetStanding, NewFleet, Note, Taken, Tally
from jobs.sql.devices import (
    FREE,
    MINE,
    SLOWNESS,
    THIS_RUN,
    clear_rows,
    of_beginning,
    of_run,
    standing_from,
    taken_devices,
    taken_from,
)
from jobs.sql.execute import adapted, change, rows
from jobs.sql.tables import DEVICE, FLEET, JOB, LOCK, PARTICIPANT
from jobs.states import RUNNING, JobDeviceState

ALL_OVER: Final = common.ALL_OVER.format(report="length(CAST(report AS BLOB))", host="length(CAST(host AS BLOB))")
_ME: Final = f"(SELECT 1 FROM {PARTICIPANT} WHERE token = %(token)s)"
_JOIN: Final = f"""
    INSERT INTO {PARTICIPANT} (token, job_id, worker_id, worker, joined_at)
    SELECT %(token)s, %(job)s, %(worker_id)s, %(worker)s, %(now)s
    WHERE EXISTS ({THIS_RUN}) AND NOT EXISTS {_ME}
"""
_FLEET: Final = f"""
    INSERT INTO {FLEET} (job_id, attempt, helpers, repeats, all_or_none, allowed, fingerprint)
    VALUES (%(job)s, %(attempt)s, %(helpers)s, %(repeats)s, %(all_or_none)s, 1, %(fingerprint)s)
"""
_DEVICE: Final = f"""
    INSERT INTO {DEVICE} (job_id, place, host, state, failed, step, steps_over, tries, participant, worker, start_time)
    VALUES (%s, %s, %s, %s, FALSE, '', 0, 0, %s, %s, %s)
"""
_SECONDS: Final = "86400 * (julianday(last.finish_time) - julianday(last.start_time))"
_IN_TURN: Final = f"""
    SELECT given.key, given.value FROM (SELECT key, value, value AS host FROM json_each(%(hosts)s)) AS given
    ORDER BY coalesce({SLOWNESS.format(seconds=_SECONDS)}, 0) DESC, given.key
"""
_LOOK: Final = f"""
    SELECT {_ME}, job.abort_reason, held.fence, fleet."end",
        (SELECT count(*) FROM {PARTICIPANT} WHERE job_id = job.id AND token <> %(token)s),
        EXISTS (SELECT 1 FROM {DEVICE} WHERE job_id = job.id AND {FREE}), FALSE
    FROM {JOB} AS job JOIN {FLEET} AS fleet ON fleet.job_id = job.id
    LEFT JOIN {LOCK} AS held ON held.name = job.lock_name AND held.holder_id = job.id
    WHERE job.id = %(job)s AND job.status = '{RUNNING}'
"""
_TAKE: Final = f"""
    UPDATE {DEVICE}
    SET state = %(state)s, participant = %(token)s, worker = %(by)s, start_time = %(now)s
    WHERE id IN (
        SELECT id FROM {DEVICE} WHERE job_id = %(job)s AND {FREE} AND (tries > 0) = %(tried)s
        ORDER BY id LIMIT %(count)s
    ) RETURNING id, host, tries, state = '{JobDeviceState.WAITING}'
"""
_OVER: Final = f"""
    UPDATE {DEVICE} SET state = '{JobDeviceState.DONE}', failed = %(failed)s, reason = %(reason)s,
        change_score = %(change_score)s, report = %(report)s, memo = %(memo)s, changed = %(changed)s,
        taken_back = %(taken_back)s, worker = %(worker)s, start_time = coalesce(start_time, %(since)s),
        finish_time = %(then)s
    WHERE id = %(id)s AND {MINE}
"""
_STEPPED: Final = f"""
    UPDATE {DEVICE} SET steps_over = %(steps_over)s WHERE id = %(id)s AND {MINE} AND steps_over < %(steps_over)s
"""
_UNDER_WAY: Final = f"""
        state = '{JobDeviceState.TAKEN}', worker = %(worker)s, start_time = coalesce(start_time, %(since)s)"""
_BEGUN: Final = f"UPDATE {DEVICE} SET {_UNDER_WAY} WHERE id = %(id)s AND {MINE}"
_UNBEGUN: Final = f"""
    UPDATE {DEVICE} SET state = '{JobDeviceState.WAITING}', participant = NULL, worker = NULL, start_time = NULL
    WHERE id = %(id)s AND {MINE}
"""
_NOTE: Final = f"""
    UPDATE {DEVICE} SET step = %(step)s, if_lost = %(if_lost)s, {_UNDER_WAY} WHERE id = %(id)s AND {MINE}
"""
_DUE: Final = f"""
    UPDATE {FLEET} SET progress_at = %(now)s
    WHERE job_id = %(job)s AND EXISTS {_ME} AND (progress_at IS NULL OR progress_at < %(then)s)
"""
_PROGRESS: Final = f"UPDATE {JOB} SET finished_devices = %(hosts)s WHERE id = %(job)s AND status = '{RUNNING}'"


def begin_devices(
    run: Run, fleet: NewFleet, hosts: Sequence[str], *, take: int, worker_id: int | None
) -> list[Taken] | None:
    values = {**of_beginning(run, fleet, worker_id), "now": _time()}
    with transaction.atomic():
        if run.attempt > 1:
            clear_rows(run, THIS_RUN)
        if change(_JOIN, values):
            change(_FLEET, values)
            taken = (JobDeviceState.TAKEN.value, values["token"], run.worker, values["now"])
            waiting = (JobDeviceState.WAITING.value, None, None, None)
            in_turn = rows(_IN_TURN, {"hosts": json.dumps(hosts)}) if take < len(hosts) else [*enumerate(hosts)]
            with connection.cursor() as cursor:
                cursor.executemany(
                    _DEVICE,
                    [
                        (run.job_id, place, host, *(taken if turn < take else waiting))
                        for turn, (place, host) in enumerate(in_turn)
                    ],
                )
        elif not rows(f"SELECT 1 WHERE EXISTS {_ME}", values):
            return None
        return taken_devices(run)


def take_devices(
    run: Run, count: int, *, ahead: int = 0, tried: bool = False, of: int = 0, lasting: bool = True
) -> tuple[FleetStanding, list[Taken]]:
    values = {**of_run(run), "tried": tried}
    begins = {"count": count, "state": JobDeviceState.TAKEN.value, "by": run.worker, "now": _time()}
    waits = {"count": ahead, "state": JobDeviceState.WAITING.value, "by": None, "now": None}
    with transaction.atomic():
        seen = fleet_standing(run)
        if not seen.allows(run):
            return seen, []
        found = rows(_TAKE, values | begins)
        found += rows(_TAKE, values | waits) if ahead and not seen.others else []
    return seen, [taken_from(row) for row in sorted(found)]


def write_devices(run: Run, batch: Batch) -> FleetStanding:
    with transaction.atomic():
        write(run, batch)
        return fleet_standing(run)


def fleet_standing(run: Run) -> FleetStanding:
    return standing_from(rows(_LOOK, of_run(run)))


def note_steps(run: Run, notes: Sequence[Note], *, of: int = 0) -> FleetStanding:
    with transaction.atomic():
        seen = fleet_standing(run)
        if not seen.allows(run):
            return seen
        now, own = timezone.now(), of_run(run)
        noted = [
            note.id for note in notes if change(_NOTE, {**own, **note._asdict(), "since": _ago(now, note.begun_age)})
        ]
    return replace(seen, noted=frozenset(noted))


def show_progress(run: Run, *, seconds: float) -> None:
    now = timezone.now()
    values = {**of_run(run), "now": adapted(now), "then": _ago(now, seconds)}
    with transaction.atomic():
        if change(_DUE, values):
            change(_PROGRESS, {**values, "hosts": common.as_list(common.finished_hosts(run.job_id))})


def tally(job_id: int) -> Tally | None:
    return common.tally_of(job_id, ALL_OVER)


def write(run: Run, batch: Batch) -> None:
    now = timezone.now()
    for over in batch.over:
        times = {"then": _ago(now, over.age), "since": _ago(now, over.begun_age)}
        change(_OVER, {**of_run(run), **over._asdict(), **times})
    for stepped in batch.stepped:
        change(_STEPPED, {**of_run(run), **stepped._asdict()})
    for begun in batch.begun:
        change(_BEGUN, {**of_run(run), "id": begun.id, "since": _ago(now, begun.age)})
    for device_id in batch.unbegun:
        change(_UNBEGUN, {**of_run(run), "id": device_id})


def _time() -> Any:
    return now_sql()[1][0]


def _ago(now: datetime, seconds: float) -> Any:
    return adapted(now - timedelta(seconds=seconds))
