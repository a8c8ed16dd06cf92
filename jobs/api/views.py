"""The jobs API: list, read, abort, approve and reject jobs. It does not start any."""

from typing import Any, Final

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.body import json_object
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import BadRequest, NotFound
from cnaasjobs.api.filters import quoted, refusal
from cnaasjobs.api.pagination import NumberedPages
from cnaasjobs.api.views import ApiViewSet
from cnaasjobs.db.built import Built
from jobs.api import described
from jobs.api.job_json import COLUMNS, all_rows, jobs_json
from jobs.api.rights import by_of, forbidden_if_refused
from jobs.errors import CannotApprove, JobNotAbortable, JobNotFound, NotWaitingForApproval
from jobs.models import Job
from jobs.operating import aborting, approving
from jobs.result_views import all_parts
from jobs.rights.decide import ABORT, APPROVE
from jobs.sql import totals

MAX_TEXT = 255

_ROW: Final = Built(lambda job_id: all_rows().filter(pk=job_id))
_ID: Final = Built(lambda job_id: Job.objects.filter(pk=job_id).values_list("pk"))


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
    permissions_required = {"GET": "jobs.view_job", "PUT": (ABORT, APPROVE)}

    def list(self, request: Request) -> Response:
        without = self._without(request)
        rows = self.paginate_queryset(self.filter_queryset(all_rows()))
        return self.get_paginated_response({"jobs": jobs_json(rows or [], without=without)})

    def retrieve(self, request: Request, job_id: str) -> Response:
        return success({"jobs": self._one(job_id_of(job_id), without=self._without(request))})

    def act(self, request: Request, job_id: str) -> Response:
        """Abort it, or approve or reject it as a second person."""
        number, body, by = job_id_of(job_id), json_object(request), by_of(request)
        action = body.get("action")
        try:
            with forbidden_if_refused(request):
                match action.upper() if isinstance(action, str) else None:
                    case "ABORT":
                        reason = _text(body, "abort_reason", "Aborted via API call")
                        aborting.abort(number, reason=reason, by=by)
                    case "APPROVE":
                        approving.approve(number, comment=_text(body, "comment", ""), by=by)
                    case "REJECT":
                        approving.reject(number, comment=_text(body, "comment", ""), by=by)
                    case _:
                        raise BadRequest("action must be ABORT, APPROVE or REJECT")
        except JobNotFound as exc:
            raise NotFound(str(exc)) from exc
        except (JobNotAbortable, NotWaitingForApproval, CannotApprove) as exc:
            raise BadRequest(str(exc)) from exc
        return success({"jobs": self._one(number)})

    def _one(self, job_id: int, *, without: tuple[str, ...] = ()) -> Any:
        found = jobs_json(_ROW.rows(job_id), without=without)
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
    if not _ID.rows(number):
        raise NotFound(str(JobNotFound(number)))
    return number


def _text(body: dict[str, Any], key: str, absent: str) -> str:
    text = body.get(key)
    if text is None:
        return absent
    if not isinstance(text, str):
        raise BadRequest(f"{key} must be a string")
    return text[:MAX_TEXT] if text.strip() else absent
