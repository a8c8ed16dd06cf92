"""Results and exceptions of ended jobs as the API shows them: JSON text as it is stored, long results in pieces.

libpq and psycopg2 each hold a copy of what one statement fetches. So long results are fetched a few at a time, and a
very long one in parts: a web process needs little more memory than the answer's own size.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import connection

from cnaasjobs.api.envelope import LongJSON, stored_json
from jobs.models import JobOutcome

_TABLE: Final = JobOutcome._meta.db_table
_LONG: Final = 16 * 1024  # bytes; a result from here on is fetched after the others
_PART: Final = 256 * 1024  # bytes that one statement fetches, more or less

_TEXTS: Final = f"SELECT job_id, result, exception, NULL FROM {_TABLE} WHERE job_id IN (%s)"
# octet_length does not read a result's text, only how long it is.
_SHORT_TEXTS: Final = f"""
    SELECT job_id, CASE WHEN octet_length(result) < {_LONG} THEN result END, exception,
        CASE WHEN octet_length(result) >= {_LONG} THEN octet_length(result) END
    FROM {_TABLE} WHERE job_id IN (%s)
"""
# OFFSET 0 keeps the text from being read again for each of its parts.
_PARTS: Final = f"""
    SELECT place, substring(whole.utf8 FROM place FOR {_PART})
    FROM (SELECT convert_to(result, 'UTF8') AS utf8 FROM {_TABLE} WHERE job_id = %s OFFSET 0) AS whole,
        LATERAL generate_series(1, octet_length(whole.utf8), {_PART}) AS place
"""


def texts(job_ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
    """Result and exception of each ended job, whole."""
    return {job_id: (result, exception) for job_id, result, exception, _ in _rows(_TEXTS, job_ids)}


def shown(job_ids: Sequence[int]) -> dict[int, tuple[Any, Any]]:
    """The same, to be spliced into an answer."""
    rows = _rows(_SHORT_TEXTS if connection.vendor == "postgresql" else _TEXTS, job_ids)
    long = dict(_long({job_id: size for job_id, _, _, size in rows if size is not None}))
    return {
        job_id: (long.get(job_id) or stored_json(result), stored_json(exception))
        for job_id, result, exception, _ in rows
    }


def _rows(statement: str, job_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:  # by hand: each page of the list comes here
        cursor.execute(statement % ",".join(["%s"] * len(job_ids)), job_ids)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _long(sizes: dict[int, int]) -> Iterator[tuple[int, LongJSON]]:
    for job_ids in _together(sizes):
        if sizes[job_ids[0]] > _PART:
            yield job_ids[0], LongJSON(_in_parts(job_ids[0]))
        else:
            for job_id, (result, _) in texts(job_ids).items():
                yield job_id, LongJSON([(result or "null").encode()])


def _together(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Groups that one statement may fetch; what is too long for that is alone."""
    group: list[int] = []
    room = _PART
    for job_id, size in sizes.items():
        if group and size > room:
            yield group
            group, room = [], _PART
        group.append(job_id)
        room -= size
    if group:
        yield group


def _in_parts(job_id: int) -> list[bytes]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_PARTS, [job_id])
        parts: dict[int, bytes] = {}
        while row := cursor.fetchone():
            parts[row[0]] = bytes(row[1])
    return [parts[place] for place in sorted(parts)] or [b"null"]
