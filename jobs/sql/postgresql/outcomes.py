"""Results of ended jobs, long ones later or in parts: libpq and psycopg2 each hold a copy of what is fetched."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from django.db import connection

from jobs.outcome import of_devices
from jobs.sql.common import outcomes_by_size, whole_outcomes
from jobs.sql.devices import REPORTS
from jobs.sql.signature import StoredOutcome
from jobs.sql.tables import OUTCOME

_ROWS: Final = 50  # of devices, in one answer: one by one each would be a round trip
_SIZE: Final = "octet_length(result)"  # reads the length of a result, not its text
# OFFSET 0 keeps the text from being read again for each of its parts.
_PARTS: Final = f"""
    SELECT place, substring(whole.utf8 FROM place FOR {{size}})
    FROM (SELECT convert_to(result, 'UTF8') AS utf8 FROM {OUTCOME} WHERE job_id = %s OFFSET 0) AS whole,
        LATERAL generate_series(1, octet_length(whole.utf8), {{size}}) AS place
"""


def outcomes(job_ids: Sequence[int], *, shorter_than: int | None = None) -> list[StoredOutcome]:
    return whole_outcomes(job_ids) if shorter_than is None else outcomes_by_size(job_ids, shorter_than, size=_SIZE)


def result_in_parts(job_id: int, size: int) -> list[bytes]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_PARTS.format(size=size), [job_id])
        parts: dict[int, bytes] = {}
        while row := cursor.fetchone():
            parts[row[0]] = bytes(row[1])
    if not parts:
        return _parts_of_devices(job_id)
    return [parts[place] for place in sorted(parts)]


def _parts_of_devices(job_id: int) -> list[bytes]:
    """The result of a job that is made of its devices' reports, read a few rows at a time."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(REPORTS, [job_id])
        reports = list(chain.from_iterable(iter(lambda: cursor.fetchmany(_ROWS), [])))
    return [of_devices(reports).encode()] if reports else []
