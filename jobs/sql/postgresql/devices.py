"""The devices of a job, where several processes work on them at once.

A participant that takes devices first locks its own row, FOR KEY SHARE: a participant that was judged lost has none
any more, and takes nothing, however old its snapshot of the others is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.db import connection, transaction

from cnaasjobs.db.changes import WITH_NUMBER
from cnaasjobs.db.prepared import Prepared
from cnaasjobs.db.unawaited import UNAWAITED
from jobs.run import Run
from jobs.sql import devices as common
from jobs.sql.device_signature import Batch, FleetStanding, NewFleet, Note, Taken, Tally
from jobs.sql.devices import (
    CROWDED_SECONDS,
    FREE,
    MINE,
    SLOWNESS,
    THIS_RUN,
    clear_rows,
    of_beginning,
    of_run,
    standing_from,
    taken_devices,
)
from jobs.sql.execute import change, rows
from jobs.sql.tables import DEVICE, FLEET, JOB, LOCK, PARTICIPANT
from jobs.states import RUNNING, SCHEDULED, JobDeviceState

ALL_OVER: Final = common.ALL_OVER.format(report="octet_length(report)", host="octet_length(host)")

# Whoever ends the run locks this row too: either nobody is found to take part and nobody begins, or the end waits.
_THIS_RUN: Final = f"{THIS_RUN} FOR NO KEY UPDATE"
_SECONDS: Final = "extract(epoch FROM last.finish_time - last.start_time)"
# If all devices can begin at once, their order does not matter and is not looked up.
_SLOWNESS: Final = f"CASE WHEN %(in_turn)s THEN coalesce({SLOWNESS.format(seconds=_SECONDS)}, 0) ELSE 0 END"
_BEGIN: Final = f"""
    WITH this_run AS ({_THIS_RUN}), me AS (
        INSERT INTO {PARTICIPANT} (token, job_id, worker_id, worker, joined_at)
        SELECT %(token)s, %(job)s, %(worker_id)s, %(worker)s, statement_timestamp() FROM this_run
        ON CONFLICT DO NOTHING RETURNING 1
    ), fleet AS (
        INSERT INTO {FLEET} (job_id, attempt, helpers, repeats, all_or_none, allowed, fingerprint)
        SELECT %(job)s, %(attempt)s, %(helpers)s, %(repeats)s, %(all_or_none)s, 1, %(fingerprint)s FROM me
    )
    INSERT INTO {DEVICE} (job_id, place, host, state, failed, step, steps_over, tries, participant, worker, start_time)
    SELECT %(job)s, place - 1, host,
        CASE WHEN turn <= %(take)s THEN '{JobDeviceState.TAKEN}' ELSE '{JobDeviceState.WAITING}' END,
        FALSE, '', 0, 0,
        CASE WHEN turn <= %(take)s THEN %(token)s::uuid END,
        CASE WHEN turn <= %(take)s THEN %(worker)s END,
        CASE WHEN turn <= %(take)s THEN statement_timestamp() END
    FROM me, (
        SELECT host, place, row_number() OVER (ORDER BY {_SLOWNESS} DESC, place) AS turn
        FROM unnest(%(hosts)s::text[]) WITH ORDINALITY AS given(host, place)
    ) AS device
    ORDER BY turn
    RETURNING id, host, tries
"""
_ANOTHER: Final = f"FROM {PARTICIPANT} WHERE job_id = %(job)s AND token <> %(token)s"
OTHERS: Final = f"(SELECT count(*) {_ANOTHER})"
# What a safe point asks. "me" is NULL if this is not a participant (any more).
_STAND: Final = f"""
    SELECT {{me}} AS me, job.abort_reason, held.fence, fleet."end"
    FROM {JOB} AS job JOIN {FLEET} AS fleet ON fleet.job_id = job.id
    LEFT JOIN {LOCK} AS held ON held.name = job.lock_name AND held.holder_id = job.id
    WHERE job.id = %(job)s AND job.status = '{RUNNING}'
"""
ME: Final = f"(SELECT 1 FROM {PARTICIPANT} WHERE token = %(token)s)"
_LOCKED_ME: Final = f"me AS (SELECT 1 AS mine FROM {PARTICIPANT} WHERE token = %(token)s FOR KEY SHARE)"
_MAY_GO_ON: Final = """EXISTS (
        SELECT 1 FROM stand WHERE me IS NOT NULL AND abort_reason IS NULL AND "end" IS NULL
            AND (%(fence)s::bigint IS NULL OR fence = %(fence)s)
    )"""
_TAKE: Final = f"""
    WITH {_LOCKED_ME}, stand AS ({_STAND.format(me="(SELECT mine FROM me)")}), free AS (
        SELECT id FROM {DEVICE}
        WHERE job_id = %(job)s AND {FREE} AND (tries > 0) = %(tried)s AND {_MAY_GO_ON}
        ORDER BY id LIMIT CASE WHEN EXISTS (SELECT 1 {_ANOTHER}) THEN %(count)s ELSE %(count)s + %(ahead)s END
        FOR UPDATE SKIP LOCKED
    ), turn AS (
        SELECT id, row_number() OVER (ORDER BY id) > %(count)s AS ahead FROM free
    ), taken AS (
        UPDATE {DEVICE} AS device SET participant = %(token)s,
            state = CASE WHEN ahead THEN '{JobDeviceState.WAITING}' ELSE '{JobDeviceState.TAKEN}' END,
            worker = CASE WHEN NOT ahead THEN %(worker)s END,
            start_time = CASE WHEN NOT ahead THEN statement_timestamp() END
        FROM turn WHERE device.id = turn.id
        RETURNING device.id, device.host, device.tries, ahead
    )
    SELECT me, abort_reason, fence, "end", {OTHERS}, taken.*
    FROM (SELECT CASE WHEN NOT (%(lasting)s OR EXISTS (SELECT 1 {_ANOTHER})) THEN {UNAWAITED} END) AS unawaited,
        stand LEFT JOIN taken ON TRUE
    ORDER BY taken.id
"""
# PostgreSQL's statistics on participants are those of earlier jobs: it expects one device for this one, and would scan
# all given ids once for each that it has. From a CASE it infers no such number.
_STILL_MINE: Final = f"CASE WHEN {MINE} THEN TRUE ELSE FALSE END"
_OVER: Final = f"""over AS (
        UPDATE {DEVICE} AS device SET state = '{JobDeviceState.DONE}', failed = given.failed, reason = given.reason,
            change_score = given.score, report = given.report, memo = given.memo,
            changed = given.changed, taken_back = given.taken_back, worker = %(worker)s,
            start_time = coalesce(start_time, statement_timestamp() - given.begun_age * interval '1 second'),
            finish_time = statement_timestamp() - given.age * interval '1 second'
        FROM unnest(%(ids)s::bigint[], %(failed)s::boolean[], %(reasons)s::text[], %(scores)s::smallint[],
            %(reports)s::text[], %(memos)s::text[], %(changed)s::boolean[], %(taken_back)s::boolean[],
            %(ages)s::float8[], %(begun_ages)s::float8[])
            AS given(id, failed, reason, score, report, memo, changed, taken_back, age, begun_age)
        WHERE device.id = given.id AND {_STILL_MINE}
        RETURNING device.id
    )"""
_STEPPED: Final = f"""stepped AS (
        UPDATE {DEVICE} AS device SET steps_over = given.steps
        FROM unnest(%(stepped)s::bigint[], %(steps)s::smallint[]) AS given(id, steps)
        WHERE device.id = given.id AND {_STILL_MINE} AND steps_over < given.steps
        RETURNING device.id
    )"""
_UNDER_WAY: Final = f"""
    state = '{JobDeviceState.TAKEN}', worker = %(worker)s,
    start_time = coalesce(start_time, statement_timestamp() - given.age * interval '1 second')"""
# A locked row is just having its step noted, which marks it as begun too. If each statement waited for the other's
# rows, the database would break the deadlock after a second.
_BEGUN: Final = f"""free_begun AS (
        SELECT device.id, given.age
        FROM {DEVICE} AS device JOIN unnest(%(begun)s::bigint[], %(begun_since)s::float8[]) AS given(id, age)
            ON device.id = given.id
        WHERE {_STILL_MINE} FOR UPDATE OF device SKIP LOCKED
    ), begun AS (
        UPDATE {DEVICE} AS device SET {_UNDER_WAY} FROM free_begun AS given WHERE device.id = given.id
        RETURNING device.id
    )"""
_UNBEGUN: Final = f"""unbegun AS (
        UPDATE {DEVICE} AS device SET state = '{JobDeviceState.WAITING}', participant = NULL, worker = NULL,
            start_time = NULL
        WHERE id = ANY(%(unbegun)s) AND {MINE}
        RETURNING device.id
    )"""
WAITING: Final = f"EXISTS (SELECT 1 FROM {DEVICE} WHERE job_id = %(job)s AND {FREE})"
# As many make room as jobs wait, the youngest first, and never the eldest.
_CROWDED: Final = f"""(
        SELECT count(*) FROM {PARTICIPANT} AS other JOIN {PARTICIPANT} AS mine ON mine.token = %(token)s
        WHERE other.job_id = %(job)s AND (other.joined_at, other.token) > (mine.joined_at, mine.token)
    ) < least({OTHERS}, (
        SELECT count(*) FROM {JOB} WHERE status = '{SCHEDULED}' AND queue = (SELECT queue FROM {JOB} WHERE id = %(job)s)
            AND dispatched_at < statement_timestamp() - %(crowded)s * interval '1 second'
    ))"""
_WRITE: Final = f"""
    {{changes}} SELECT stand.*, {OTHERS} AS others, {WAITING} AS waiting, {_CROWDED} AS crowded FROM stand
"""
_NOTE: Final = f"""
    WITH {_LOCKED_ME}, stand AS ({_STAND.format(me="(SELECT mine FROM me)")}), noted AS (
        UPDATE {DEVICE} AS device SET step = given.step, if_lost = given.if_lost, {_UNDER_WAY}
        FROM unnest(%(ids)s::bigint[], %(steps)s::text[], %(if_lost)s::text[], %(ages)s::float8[])
            AS given(id, step, if_lost, age)
        WHERE device.id = given.id AND {_STILL_MINE} AND {_MAY_GO_ON}
        RETURNING device.id
    )
    SELECT me, abort_reason, fence, "end", ARRAY(SELECT id FROM noted),
        CASE WHEN NOT %(lasting)s THEN {UNAWAITED} END
    FROM stand
"""
_PROGRESS: Final = f"""
    WITH job AS (
        SELECT 1 FROM {JOB} WHERE id = %(job)s FOR NO KEY UPDATE
    ), due AS (
        UPDATE {FLEET} SET progress_at = statement_timestamp()
        WHERE job_id = %(job)s AND EXISTS (SELECT 1 FROM job) AND EXISTS {ME}
            AND (progress_at IS NULL OR progress_at < statement_timestamp() - %(seconds)s * interval '1 second')
        RETURNING 1
    )
    UPDATE {JOB} SET finished_devices = coalesce(
        (SELECT json_agg(host ORDER BY finish_time, place)::text FROM {DEVICE}
         WHERE job_id = %(job)s AND state = '{JobDeviceState.DONE}' AND NOT taken_back), '[]'), {WITH_NUMBER}
    WHERE id = %(job)s AND status = '{RUNNING}' AND EXISTS (SELECT 1 FROM due)
"""


_RUN: Final = {"job": "bigint", "token": "uuid", "fence": "bigint"}
_TAKE_OF_MANY: Final = Prepared(
    "take",
    _TAKE,
    {**_RUN, "worker": "text", "count": "bigint", "ahead": "bigint", "tried": "boolean", "lasting": "boolean"},
)
_NOTE_OF_MANY: Final = Prepared(
    "note",
    _NOTE,
    {
        **_RUN,
        "worker": "text",
        "ids": "bigint[]",
        "steps": "text[]",
        "if_lost": "text[]",
        "ages": "float8[]",
        "lasting": "boolean",
    },
)


def begin_devices(
    run: Run, fleet: NewFleet, hosts: Sequence[str], *, take: int, worker_id: int | None
) -> list[Taken] | None:
    values = {
        **of_beginning(run, fleet, worker_id),
        "take": take,
        "in_turn": take < len(hosts),
        "hosts": [*hosts],
    }
    if run.attempt == 1:
        found = rows(_BEGIN, values)
    else:
        with transaction.atomic():
            clear_rows(run, _THIS_RUN)
            found = rows(_BEGIN, values)
    if found:
        return [Taken(*row) for row in sorted(found)[:take]]
    return taken_devices(run) if rows(f"SELECT 1 WHERE EXISTS {ME}", values) else None


def take_devices(
    run: Run, count: int, *, ahead: int = 0, tried: bool = False, of: int = 0, lasting: bool = True
) -> tuple[FleetStanding, list[Taken]]:
    values = {**of_run(run), "count": count, "ahead": ahead, "tried": tried, "lasting": lasting}
    found = _planned_once(_TAKE_OF_MANY, values, of=of)
    return standing_from([row[:5] for row in found]), [Taken(*row[5:]) for row in found if row[5] is not None]


def write_devices(run: Run, batch: Batch) -> FleetStanding:
    values = {**of_run(run), **given(batch), "crowded": CROWDED_SECONDS}
    stand = f"stand AS ({_STAND.format(me=ME)})"
    return standing_from(rows(_WRITE.format(changes=f"WITH {', '.join([*changes(batch), stand])}"), values))


def fleet_standing(run: Run) -> FleetStanding:
    return standing_from(rows(_STAND.format(me=ME), of_run(run)))


def note_steps(run: Run, notes: Sequence[Note], *, of: int = 0) -> FleetStanding:
    values = {
        **of_run(run),
        "ids": [note.id for note in notes],
        "steps": [note.step for note in notes],
        "if_lost": [note.if_lost for note in notes],
        "ages": [note.begun_age for note in notes],
        "lasting": any(note.lasting for note in notes),
    }
    found = _planned_once(_NOTE_OF_MANY, values, of=of)
    return replace(standing_from([row[:4] for row in found]), noted=frozenset(found[0][4] if found else ()))


def _planned_once(statement: Prepared, values: Mapping[str, Any], *, of: int) -> list[tuple[Any, ...]]:
    """Prepared, because planning takes three times as long as executing, and it is executed for every few devices."""
    with connection.cursor() as cursor:
        statement.execute(cursor, values, rows=of)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def show_progress(run: Run, *, seconds: float) -> None:
    change(_PROGRESS, {**of_run(run), "seconds": seconds})


def tally(job_id: int) -> Tally | None:
    return common.tally_of(job_id, ALL_OVER)


def changes(batch: Batch) -> list[str]:
    given = ((_OVER, batch.over), (_STEPPED, batch.stepped), (_UNBEGUN, batch.unbegun), (_BEGUN, batch.begun))
    return [statement for statement, rows in given if rows]


def given(batch: Batch) -> dict[str, Any]:
    over = batch.over
    return {
        "ids": [one.id for one in over],
        "failed": [one.failed for one in over],
        "reasons": [one.reason for one in over],
        "scores": [one.change_score for one in over],
        "reports": [one.report for one in over],
        "memos": [one.memo for one in over],
        "changed": [one.changed for one in over],
        "taken_back": [one.taken_back for one in over],
        "ages": [one.age for one in over],
        "begun_ages": [one.begun_age for one in over],
        "stepped": [one.id for one in batch.stepped],
        "steps": [one.steps_over for one in batch.stepped],
        "unbegun": [*batch.unbegun],
        "begun": [one.id for one in batch.begun],
        "begun_since": [one.age for one in batch.begun],
    }
