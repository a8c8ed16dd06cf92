"""Deletes jobs with all that belongs to them, by one statement per table; Django's cascade would load every row."""

from collections.abc import Collection

from jobs.sql.execute import change
from jobs.sql.tables import JOB, OF_A_JOB


def delete(job_ids: Collection[int]) -> None:
    ids = [*job_ids]
    for table in OF_A_JOB:
        change(f"DELETE FROM {table} WHERE job_id = ANY(%s)", [ids])
    change(f"DELETE FROM {JOB} WHERE id = ANY(%s)", [ids])
