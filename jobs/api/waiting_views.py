"""``GET /job/<id>/waiting``: what holds a job. ``GET /locks``: each lock with its holder and its line."""

from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import NotFound
from cnaasjobs.api.views import ApiViewSet
from jobs.api import described
from jobs.api.views import job_id_of
from jobs.api.waiting_json import lock_objects, reason_object
from jobs.errors import JobNotFound
from jobs.models import Job
from jobs.waiting.why import reasons_of


class WaitingViewSet(ApiViewSet):
    described = described.WAITING
    permissions_required = {"GET": "jobs.view_job"}

    def retrieve(self, request: Request, job_id: str) -> Response:
        number = job_id_of(job_id)
        job = Job.objects.defer("finished_devices", "start_arguments").filter(pk=number).first()
        if job is None:
            raise NotFound(str(JobNotFound(number)))
        reasons = [reason_object(each) for each in reasons_of([job])[number]]
        return success({"job_id": number, "status": job.status, "waiting": reasons})


class LinesViewSet(ApiViewSet):
    described = described.LINES
    permissions_required = {"GET": "locks.view_lock"}

    def list(self, request: Request) -> Response:
        return success({"locks": lock_objects()})
