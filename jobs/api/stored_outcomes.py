"""Results and exceptions of ended jobs as the API shows them: JSON text as it is stored, long results in pieces.

libpq and psycopg2 each hold a copy of what one statement fetches. So long results are fetched a few at a time, and a
very long one in parts: a web process needs little more memory than the answer's own size.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from cnaasjobs.api.envelope import LongJSON, stored_json
from jobs.sql import store

_LONG: Final = 16 * 1024  # bytes; a result from here on is fetched after the others
_PART: Final = 256 * 1024  # bytes that one statement fetches, more or less


def texts(job_ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
    """Result and exception of each ended job, whole."""
    return {found.job_id: (found.result, found.exception) for found in store().outcomes(job_ids)}


def spliced(job_ids: Sequence[int]) -> dict[int, tuple[Any, Any]]:
    """The same, to be spliced into an answer."""
    rows = store().outcomes(job_ids, shorter_than=_LONG)
    long = dict(_long({row.job_id: row.long for row in rows if row.long is not None}))
    return {row.job_id: (long.get(row.job_id) or stored_json(row.result), stored_json(row.exception)) for row in rows}


def _long(sizes: dict[int, int]) -> Iterator[tuple[int, LongJSON]]:
    for job_ids in _together(sizes):
        if sizes[job_ids[0]] > _PART:
            yield job_ids[0], LongJSON(store().result_in_parts(job_ids[0], _PART) or [b"null"])
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
