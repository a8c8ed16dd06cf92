"""Leaving a run: one transaction, and nobody else writes meanwhile."""

from typing import Final

from django.db import transaction

from jobs.run import Run
from jobs.sql.device_signature import Batch, Leaving
from jobs.sql.devices import leaving_of, of_run
from jobs.sql.execute import change, rows
from jobs.sql.sqlite.devices import ALL_OVER, fleet_standing, write
from jobs.sql.tables import FLEET, JOB, PARTICIPANT

_NOTE_END: Final = f"""
    UPDATE {FLEET} SET "end" = coalesce("end", %(new_end)s)
    WHERE job_id = %(job)s AND EXISTS (SELECT 1 FROM {PARTICIPANT} WHERE token = %(token)s)
"""
_NAMED: Final = f"SELECT run_token = %(token)s FROM {JOB} WHERE id = %(job)s"
_HEIR: Final = f"SELECT token, worker_id, worker FROM {PARTICIPANT} WHERE job_id = %(job)s ORDER BY joined_at LIMIT 1"
_HAND_ON: Final = f"""
    UPDATE {JOB} SET run_token = %(heir)s, worker_id = %(heir_id)s, worker = coalesce(%(heir_worker)s, worker)
    WHERE id = %(job)s AND run_token = %(token)s
"""
_ORPHAN: Final = f"UPDATE {FLEET} SET orphan = %(orphan)s WHERE job_id = %(job)s"


def leave(run: Run, batch: Batch, *, end: str | None, though_waiting: bool, orphan: str) -> Leaving:
    values = {**of_run(run), "new_end": end, "orphan": orphan}
    with transaction.atomic():
        write(run, batch)
        if end is not None:
            change(_NOTE_END, values)
        seen = fleet_standing(run)
        named = rows(_NAMED, values)
        if not named:
            return Leaving(gone=True, last=False)
        orphaned = not seen.others and seen.waiting and seen.end is None
        goes = seen.is_mine and (seen.others > 0 or not seen.waiting or seen.end is not None or though_waiting)
        if goes:
            change(f"DELETE FROM {PARTICIPANT} WHERE token = %(token)s", values)
            if orphaned:
                change(_ORPHAN, values)
            if orphaned or seen.others:
                heir = (rows(_HEIR, values) or [(values["nobody"], None, None)])[0]
                change(_HAND_ON, {**values, "heir": heir[0], "heir_id": heir[1], "heir_worker": heir[2]})
        me = 1 if seen.is_mine else None
        return leaving_of([(me, named[0][0], goes, orphaned, seen.others, seen.end, *rows(ALL_OVER, values)[0])])
