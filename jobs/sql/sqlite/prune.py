"""Deleting jobs: two statements, where Django's cascade would load every row."""

from collections.abc import Collection

from django.db import connection

from jobs.sql.common import marks
from jobs.sql.tables import JOB, OUTCOME


def delete(job_ids: Collection[int]) -> None:
    ids = [*job_ids]
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {OUTCOME} WHERE job_id IN ({marks(ids)})", ids)
        cursor.execute(f"DELETE FROM {JOB} WHERE id IN ({marks(ids)})", ids)
