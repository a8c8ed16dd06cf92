"""Reading jobs for the API: columns of a page's rows, their results in one further query, and the job object.

Stored JSON text is spliced into the answer as it is, including the order of its keys, without being parsed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Any, Final

from django.db.models import Q, QuerySet

from cnaasjobs.api.columns import SMALL, Choice, Column, Integer, Text, Time
from cnaasjobs.api.envelope import stored_json
from cnaasjobs.api.times import time_text
from jobs.api import stored_outcomes
from jobs.models import Job
from jobs.result_views import view_of
from jobs.sql.waiting import waiting
from jobs.states import TERMINAL, Status


class _Statuses(Choice):
    """As an OR of states: all but one have indexes, and OR can use several, which IN and "not equal" cannot."""

    def condition(self, column: str, operator: str, text: str) -> Q:
        asked = super().condition(column, operator, text)
        if operator not in ("", "in", "ne"):
            return asked
        named = {self.parse(word) for word in text.split(",")}
        wanted = [word for word in self.words if (word in named) is (operator != "ne")]
        return reduce(or_, (waiting() if word == Status.SCHEDULED else Q(**{column: word}) for word in wanted))


# What clients filter and sort by: the job object's plain columns.
COLUMNS: Final[Mapping[str, Column]] = {
    "id": Integer(),
    "status": _Statuses(Status),
    "scheduled_time": Time(),
    "start_time": Time(),
    "finish_time": Time(),
    "function_name": Text(),
    "scheduled_by": Text(),
    "comment": Text(),
    "ticket_ref": Text(),
    "next_job_id": Integer(),
    "change_score": Integer(bound=SMALL),
}
_FIELDS: Final = (*COLUMNS, "finished_devices", "start_arguments")


def all_rows() -> QuerySet[Job, tuple[Any, ...]]:
    """Rows of all jobs as ``jobs_json`` takes them, to be narrowed."""
    return _all_rows().all()


@cache
def _all_rows() -> QuerySet[Job, tuple[Any, ...]]:
    """Never evaluated. Django takes longer to look up its columns than PostgreSQL to read a page of them."""
    return Job.objects.values_list(*_FIELDS)


def jobs_json(rows: Sequence[tuple[Any, ...]], *, without: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The API's job objects, made from rows with the columns ``_FIELDS``. A job that is deleted meanwhile is left out.

    Args:
        without: parts to leave out of the results, where the view of the task knows them.
    """
    ended = [row[0] for row in rows if row[1] in TERMINAL]
    outcomes = _outcomes(ended, without) if ended else {}
    gone = stored_outcomes.deleted([job_id for job_id in ended if job_id not in outcomes])
    return [_job_object(row, *outcomes.get(row[0], (None, None))) for row in rows if row[0] not in gone]


def _outcomes(job_ids: list[int], without: Sequence[str]) -> dict[int, tuple[Any, Any]]:
    if not without:
        return stored_outcomes.spliced(job_ids)
    task_names = dict(Job.objects.filter(pk__in=job_ids).values_list("id", "task_name"))

    def shortened(job_id: int, result: str) -> str:
        return view_of(task_names.get(job_id, "")).without(result, without)

    found, left_out = stored_outcomes.texts(job_ids)
    return {
        job_id: (
            stored_json(left_out.get(job_id) or (result and shortened(job_id, result))),
            stored_json(exception),
        )
        for job_id, (result, exception) in found.items()
    }


def _job_object(row: tuple[Any, ...], result: Any, exception: Any) -> dict[str, Any]:
    times: tuple[datetime | None, ...] = row[2:5]
    return {
        "id": row[0],
        "status": row[1],
        "scheduled_time": time_text(times[0]),
        "start_time": time_text(times[1]),
        "finish_time": time_text(times[2]),
        "function_name": row[5],
        "scheduled_by": row[6],
        "comment": row[7],
        "ticket_ref": row[8],
        "next_job_id": row[9],
        "result": result,
        "exception": exception,
        "finished_devices": stored_json(row[11]),
        "change_score": row[10],
        "start_arguments": stored_json(row[12]),
    }
