"""``GET /job/<id>/log``: what a job's code logged, in pages, or as text for a terminal."""

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.filters import quoted, refusal
from cnaasjobs.api.pagination import NumberedPages
from cnaasjobs.api.views import ApiViewSet
from cnaasjobs.db.built import Built
from cnaasjobs.plain_text import clean, clean_lines
from jobs.api import described
from jobs.api.views import existing_job
from jobs.models import JobLog

_LEVELS = logging.getLevelNamesMapping()


class LogLine(NamedTuple):
    time: str
    level: str
    module: str
    device: str | None
    text: str


def lines_of(job_id: int) -> Iterator[LogLine]:
    """All lines of a job: at most 10,000, with at most 1 MB of text."""
    for _, lines in batches_of(job_id):
        yield from lines


def batches_of(job_id: int, *, but: Collection[int] = ()) -> Iterator[tuple[int, list[LogLine]]]:
    """Batches by id, except those in ``but``.

    Whoever follows a log passes the ids that it has: when several processes share a job, a batch may be committed after
    others with higher ids.
    """
    batches = _batches(job_id).exclude(pk__in=but) if but else _ALL_BATCHES.rows(job_id)
    for batch, text in batches:
        yield batch, [LogLine(*line) for line in json.loads(text)]


def _batches(job_id: int) -> QuerySet[JobLog, tuple[Any, ...]]:
    return JobLog.objects.filter(job_id=job_id).order_by("id").values_list("pk", "text")


_ALL_BATCHES: Final = Built(_batches)


class LinePages(NumberedPages):
    def count(self, lines: Any) -> int:
        return len(lines)


class JobLogLines(ApiViewSet):
    """``?level=`` (that one and above), ``?device=``, ``?text=`` (contained, in any case)."""

    described = described.JOB_LOG
    collection = "log"
    pagination_class = LinePages
    permissions_required = {"GET": "jobs.view_job"}

    def list(self, request: Request, job_id: str) -> Response | HttpResponse:
        lines = self._wanted(request, existing_job(job_id))
        if "text/plain" in request.headers.get("Accept", ""):
            return HttpResponse(as_text(lines), content_type="text/plain; charset=utf-8")
        page: Any = self.paginate_queryset(lines)
        return self.get_paginated_response({"log": [line._asdict() for line in page]})

    def _wanted(self, request: Request, job_id: int) -> Sequence[LogLine]:
        asked = request.query_params.get("level", "DEBUG")
        level = asked.upper()
        if level not in _LEVELS:
            raise refusal(self, f"level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not {quoted(asked)}")
        device, text = request.query_params.get("device"), request.query_params.get("text", "").casefold()
        return [
            line
            for line in lines_of(job_id)
            if _LEVELS.get(line.level, logging.CRITICAL) >= _LEVELS[level]
            and device in (None, line.device)
            and text in line.text.casefold()
        ]


def as_text(lines: Sequence[LogLine]) -> str:
    """Text for a terminal: a line for each, and more, indented, for one whose text has several, such as a traceback."""
    return "".join(f"{_in_words(line)}\n" for line in lines)


def _in_words(line: LogLine) -> str:
    """A device that the text already names is not named again."""
    device = f" [{line.device}]" if line.device and line.device not in line.text else ""
    return f"{clean(f'{line.time} {line.level} {line.module}{device}')}: {clean_lines(line.text)}"
