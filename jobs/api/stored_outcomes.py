"""Results and exceptions of ended jobs as the API shows them: JSON text as it is stored, long results in pieces.

libpq and psycopg2 each hold a copy of what one statement fetches. Therefore long results are fetched a few at a time,
and very long ones in parts: a web process needs little more memory than the size of the answer.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cnaasjobs.api.envelope import LongJSON, stored_json
from cnaasjobs.conf import conf
from jobs.models import Job
from jobs.sql import store

_LONG: Final = 16 * 1024  # bytes; longer results are fetched after the others
_PART: Final = 256 * 1024  # approximate number of bytes that one statement fetches


def texts(job_ids: Sequence[int]) -> tuple[dict[int, tuple[str | None, str | None]], dict[int, str]]:
    """The whole result and exception of each ended job; in place of a result that does not fit, JSON that says so."""
    rows = store().outcomes(job_ids, shorter_than=_LONG)
    fitting, left_out = _fit({row.job_id: row.long for row in rows if row.long is not None})
    whole = _whole(list(fitting)) if fitting else {}
    gone = deleted([job_id for job_id in fitting if job_id not in whole])
    found = {row.job_id: (row.result, row.exception) for row in rows} | whole
    return {job_id: outcome for job_id, outcome in found.items() if job_id not in gone}, left_out


def spliced(job_ids: Sequence[int]) -> dict[int, tuple[Any, Any]]:
    """The same, ready to be spliced into an answer."""
    rows = store().outcomes(job_ids, shorter_than=_LONG)
    sizes = {row.job_id: row.long for row in rows if row.long is not None}
    long = dict(_long(sizes))
    gone = deleted([job_id for job_id, size in sizes.items() if size > _PART or job_id not in long])
    return {
        row.job_id: (long.get(row.job_id) or stored_json(row.result), stored_json(row.exception))
        for row in rows
        if row.job_id not in gone
    }


def deleted(job_ids: Sequence[int]) -> set[int]:
    """Which of these jobs no longer exist. Asked after reading: a job that several statements read, or that was not
    found, may have been deleted meanwhile.
    """
    return set(job_ids) - set(Job.objects.filter(pk__in=job_ids).values_list("pk", flat=True)) if job_ids else set()


def _whole(job_ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """The outcomes whose result was found: it may be made of device rows, which are read after the outcome."""
    found = store().outcomes(job_ids)
    return {each.job_id: (each.result, each.exception) for each in found if each.result is not None}


def _fit(sizes: dict[int, int]) -> tuple[dict[int, int], dict[int, str]]:
    """The sizes of the results that fit into one answer, and what to say in place of the others.

    A single one always fits.
    """
    fitting: dict[int, int] = {}
    left_out: dict[int, str] = {}
    room = conf.page_max_mb * 1_000_000
    for job_id, size in sizes.items():
        if len(sizes) > 1 and size > room:
            words = f"This result of {size / 1_000_000:.1f} MB does not fit into the page: GET /job/{job_id} has it"
            left_out[job_id] = json.dumps({"message": words})
        else:
            fitting[job_id] = size
            room -= size
    return fitting, left_out


def _long(sizes: dict[int, int]) -> Iterator[tuple[int, LongJSON]]:
    fitting, left_out = _fit(sizes)
    for job_id, words in left_out.items():
        yield job_id, LongJSON([words.encode()])
    for job_ids in _together(fitting):
        if sizes[job_ids[0]] > _PART:
            yield job_ids[0], LongJSON(store().result_in_parts(job_ids[0], _PART) or [b"null"])
        else:
            for job_id, (result, _) in _whole(job_ids).items():
                yield job_id, LongJSON([result.encode()])


def _together(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Groups that one statement may fetch; a result that is too long for that forms its own group."""
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
