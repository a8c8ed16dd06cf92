"""Deletes jobs with all that belongs to them, by one statement per table; Django's cascade would load every row."""

from collections.abc import Collection

from django.db import connection

from jobs.sql.common import marks
from jobs.sql.tables import JOB, OF_A_JOB


def delete(job_ids: Collection[int]) -> None:
    ids = [*job_ids]
    with connection.cursor() as cursor:
        for table in OF_A_JOB:
            cursor.execute(f"DELETE FROM {table} WHERE job_id IN ({marks(ids)})", ids)
        cursor.execute(f"DELETE FROM {JOB} WHERE id IN ({marks(ids)})", ids)
