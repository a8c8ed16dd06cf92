"""The devices of a job, while it runs and afterwards, and the jobs of a device."""

from typing import Any

from django.db.models import F, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import NotFound
from cnaasjobs.api.filters import quoted, refusal
from cnaasjobs.api.pagination import NumberedPages
from cnaasjobs.api.views import ApiViewSet
from jobs.api import described
from jobs.api.device_json import COLUMNS, HISTORY_COLUMNS, device_objects, devices_of, jobs_of, whole_device
from jobs.api.views import existing_job, job_id_of
from jobs.models import JobDevice


class JobDevices(ApiViewSet):
    """``GET /job/<id>/devices`` and ``GET /job/<id>/devices/<hostname>``."""

    described = described.JOB_DEVICES
    collection = "devices"
    pagination_class = NumberedPages
    columns = COLUMNS
    # Not the column itself: PostgreSQL would walk the table in id order until it has found a page of these rows, and
    # those of a running job come last.
    ties = F("id") + 0
    permissions_required = {"GET": "jobs.view_job"}

    def list(self, request: Request, job_id: str) -> Response:
        number = existing_job(job_id)
        with_reports = self._with_reports(request)
        rows = self.paginate_queryset(self.filter_queryset(devices_of(number)))
        return self.get_paginated_response({"devices": device_objects(rows or [], with_reports=with_reports)})

    def retrieve(self, request: Request, job_id: str, hostname: str) -> Response:
        found = None if "\x00" in hostname else whole_device(job_id_of(job_id), hostname)
        if found is None:
            raise NotFound(f"No device {quoted(hostname)} found in job {existing_job(job_id)}")
        return success({"devices": [found]})

    def _with_reports(self, request: Request) -> bool:
        asked = request.query_params.get("report", "0")
        if asked not in ("0", "1"):
            raise refusal(self, f"report must be 0 or 1, not {quoted(asked)}")
        return asked == "1"


class _Pages(NumberedPages):
    """Of a device's jobs. Each row has a job: only a filter needs to look at it, and counting goes without."""

    def count(self, queryset: QuerySet[Any, Any]) -> int:
        if any(name.startswith("filter") for name in self.request.query_params):
            return super().count(queryset)
        return JobDevice.objects.filter(host=self.request.parser_context["kwargs"]["hostname"]).count()


class DeviceJobs(ApiViewSet):
    """``GET /device/<hostname>/jobs``. A name that no job had is not an error: this app does not know the inventory."""

    described = described.DEVICE_JOBS
    collection = "jobs"
    pagination_class = _Pages
    columns = HISTORY_COLUMNS
    permissions_required = {"GET": "jobs.view_job"}

    def list(self, request: Request, hostname: str) -> Response:
        if "\x00" in hostname:
            raise NotFound(f"No device {quoted(hostname)} found")
        rows = self.paginate_queryset(self.filter_queryset(jobs_of(hostname)))
        return self.get_paginated_response({"jobs": device_objects(rows or [])})
