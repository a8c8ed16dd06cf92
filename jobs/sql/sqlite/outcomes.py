"""Results of ended jobs; a database in this process sends no copies, so a long one comes in one part."""

from collections.abc import Sequence
from typing import Final

from jobs.sql.common import outcomes_by_size, whole_outcomes
from jobs.sql.signature import StoredOutcome

_SIZE: Final = "length(CAST(result AS BLOB))"


def outcomes(job_ids: Sequence[int], *, shorter_than: int | None = None) -> list[StoredOutcome]:
    return whole_outcomes(job_ids) if shorter_than is None else outcomes_by_size(job_ids, shorter_than, size=_SIZE)


def result_in_parts(job_id: int, size: int) -> list[bytes]:
    return [found.result.encode() for found in whole_outcomes([job_id]) if found.result is not None]
