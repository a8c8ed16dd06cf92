"""The jobs API: list, read, abort. It does not start jobs."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.body import json_object
from cnaasjobs.api.caller import origin, who
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import BadRequest, NotFound
from cnaasjobs.api.filters import quoted, refusal
from cnaasjobs.api.pagination import NumberedPages
from cnaasjobs.api.views import ApiViewSet
from jobs.api import described
from jobs.api.job_json import COLUMNS, FIELDS, jobs_json
from jobs.api.rights import forbidden_if_refused
from jobs.audit import trail
from jobs.errors import JobNotAbortable, JobNotFound
from jobs.models import Job
from jobs.operating import stopping
from jobs.result_views import all_parts
from jobs.sql import totals

MAX_REASON = 255


class JobPages(NumberedPages):
    """Neither counts all jobs for a page, nor walks through them to reach a deep one."""

    def count(self, queryset: QuerySet[Any, Any]) -> int:
        return totals.total(queryset)

    def window(self, queryset: QuerySet[Any, Any], start: int, size: int, total: int) -> QuerySet[Any, Any]:
        return totals.page(queryset, start, size, total)


class JobViewSet(ApiViewSet):
    described = described.JOBS
    collection = "jobs"
    pagination_class = JobPages
    columns = COLUMNS
    permissions_required = {"GET": "jobs.view_job", "PUT": "jobs.abort_job"}

    def list(self, request: Request) -> Response:
        without = self._without(request)
        rows = self.paginate_queryset(self.filter_queryset(Job.objects.values_list(*FIELDS)))
        return self.get_paginated_response({"jobs": jobs_json(rows or [], without=without)})

    def retrieve(self, request: Request, job_id: str) -> Response:
        return success({"jobs": self._one(job_id_of(job_id), without=self._without(request))})

    def abort(self, request: Request, job_id: str) -> Response:
        number = job_id_of(job_id)
        reason = _abort_reason(json_object(request))
        try:
            with forbidden_if_refused(request):
                by = trail.By(who=who(request), origin=origin(request), user=request.user)
                stopping.abort(number, reason=reason, by=by)
        except JobNotFound as exc:
            raise NotFound(str(exc)) from exc
        except JobNotAbortable as exc:
            raise BadRequest(str(exc)) from exc
        return success({"jobs": self._one(number)})

    def _one(self, job_id: int, *, without: tuple[str, ...] = ()) -> Any:
        found = jobs_json(list(Job.objects.filter(pk=job_id).values_list(*FIELDS)), without=without)
        if not found:
            raise NotFound(str(JobNotFound(job_id)))
        return found

    def _without(self, request: Request) -> tuple[str, ...]:
        """The parts of the results that the client does not want."""
        asked = request.query_params.get("filter_jobresult")
        if asked is None:
            return ()
        parts = tuple(part.strip() for part in asked.split(","))
        known = all_parts()
        for part in parts:
            if part not in known:
                allowed = f"must be {' or '.join(known)}" if known else "results here have none"
                raise refusal(self, f"unknown part {quoted(part)} in filter_jobresult, {allowed}")
        return parts


def job_id_of(text: str) -> int:
    """The id in a URL. A text that cannot be an id is the id of no job."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63):
        raise NotFound(f"No job with id {text[:40]} found")
    return int(text)


def existing_job(text: str) -> int:
    number = job_id_of(text)
    if not Job.objects.filter(pk=number).exists():
        raise NotFound(str(JobNotFound(number)))
    return number


def _abort_reason(body: dict[str, Any]) -> str:
    action = body.get("action")
    if not isinstance(action, str) or action.upper() != "ABORT":
        raise BadRequest("action must be ABORT")
    reason = body.get("abort_reason")
    if reason is None:
        return "Aborted via API call"
    if not isinstance(reason, str):
        raise BadRequest("abort_reason must be a string")
    return reason[:MAX_REASON]
