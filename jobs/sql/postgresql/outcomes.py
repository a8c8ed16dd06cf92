"""Results of ended jobs, the long ones later or in parts: libpq and psycopg2 each hold a copy of what is fetched."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

from jobs.sql.common import marks, rows, whole_outcomes
from jobs.sql.signature import StoredOutcome
from jobs.sql.tables import OUTCOME

# octet_length does not read a result's text, only how long it is.
_SHORT: Final = f"""
    SELECT job_id, CASE WHEN octet_length(result) < {{limit}} THEN result END, exception,
        CASE WHEN octet_length(result) >= {{limit}} THEN octet_length(result) END
    FROM {OUTCOME} WHERE job_id IN ({{ids}})
"""
# OFFSET 0 keeps the text from being read again for each of its parts.
_PARTS: Final = f"""
    SELECT place, substring(whole.utf8 FROM place FOR {{size}})
    FROM (SELECT convert_to(result, 'UTF8') AS utf8 FROM {OUTCOME} WHERE job_id = %s OFFSET 0) AS whole,
        LATERAL generate_series(1, octet_length(whole.utf8), {{size}}) AS place
"""


def outcomes(job_ids: Sequence[int], *, shorter_than: int | None = None) -> list[StoredOutcome]:
    if shorter_than is None:
        return whole_outcomes(job_ids)
    found = rows(_SHORT.format(limit=shorter_than, ids=marks(job_ids)), job_ids)
    return [StoredOutcome(*row) for row in found]


def result_in_parts(job_id: int, size: int) -> list[bytes]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_PARTS.format(size=size), [job_id])
        parts: dict[int, bytes] = {}
        while row := cursor.fetchone():
            parts[row[0]] = bytes(row[1])
    return [parts[place] for place in sorted(parts)]
