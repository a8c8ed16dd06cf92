"""Deleting jobs: two statements, where Django's cascade would load every row."""

from collections.abc import Collection

from django.db import connection

from jobs.sql.tables import JOB, OUTCOME


def delete(job_ids: Collection[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {OUTCOME} WHERE job_id = ANY(%s)", [[*job_ids]])
        cursor.execute(f"DELETE FROM {JOB} WHERE id = ANY(%s)", [[*job_ids]])
