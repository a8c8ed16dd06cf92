"""device_syncto: check the request, count the devices, schedule the job."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.body import json_object
from cnaasjobs.api.caller import origin, who
from cnaasjobs.api.errors import ApiError, BadRequest, Unavailable
from cnaasjobs.api.views import ApiViewSet
from devices import earlier, inventory
from devices.api import described, sync_request
from devices.api.sync_request import FailedOf, PlanOf, SyncRequest
from devices.selection import SelectionError, Selector
from devices.tasks import sync_devices
from jobs.api import idempotency
from jobs.api.idempotency import Answer
from jobs.api.quota import require_room
from jobs.api.rights import by_of, forbidden_if_refused
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import NotAllowed
from jobs.operating import again, approving
from jobs.rights.decide import author_of, require_start
from jobs.rights.selected import DevicesUnknown
from jobs.schedulable import ScheduleOptions
from jobs.states import CameOf


class DeviceSyncto(ApiViewSet):
    """``POST /device_syncto`` and ``POST /device_syncto/hostname/<hostname>``."""

    described = described.SYNCTO
    permissions_required: ClassVar[dict[str, str]] = {"POST": "jobs.add_job"}

    def create(self, request: Request, hostname: str | None = None) -> Response:
        body = json_object(request)
        make = _decided(request, body, hostname)
        with forbidden_if_refused(request):
            answer = idempotency.once(
                user=who(request),
                key=request.headers.get("Idempotency-Key"),
                content={"path": request.path.rstrip("/"), "body": body},
                make=make,
            )
        return answer.response()


def _decided(request: Request, body: Mapping[str, Any], hostname: str | None) -> Callable[[], Answer]:
    """What is left to do in the transaction. The inventory, which may be slow, and earlier jobs are asked before it.

    A refusal is also left for the transaction: a repeated request is answered as the first was, whatever the inventory
    says by then.
    """
    try:
        wanted = sync_request.parse(body, hostname=hostname)
        selector, selected = _devices(wanted.selection)
    except ApiError as exc:
        return partial(_refuse, exc)
    arguments = {**selector.arguments(), **wanted.options}
    try:
        require_start(request.user, sync_devices, arguments)
    except (NotAllowed, DevicesUnknown) as exc:
        return partial(_refuse, exc)
    return partial(_schedule, request, wanted, arguments, selector=selector, selected=selected)


def _refuse(refusal: Exception) -> Answer:
    raise refusal


def _schedule(
    request: Request, wanted: SyncRequest, arguments: Mapping[str, Any], *, selector: Selector, selected: int
) -> Answer:
    user = who(request)
    require_room(user)
    options: ScheduleOptions = {**wanted.scheduling, "scheduled_by": user, "author_id": author_of(request.user)}
    job = scheduling.schedule(sync_devices, arguments, **options)
    match wanted.selection:
        case FailedOf(job_id):
            again.link(job, kind=CameOf.FAILED, of_id=job_id)
        case PlanOf(job_id):
            again.link(job, kind=CameOf.PLAN, of_id=job_id)
    approving.keep_maker(job, by_of(request))
    detail = f"{job.function_name}: {selector}"
    trail.add(Deed.SCHEDULED, who=user, origin=origin(request), job_id=job.pk, detail=detail)
    answer: dict[str, Any] = {
        "status": "success",
        "data": f"Scheduled job to synchronize {selector}",
        "job_id": job.pk,
    }
    return Answer(body=answer, headers={"X-Total-Count": str(selected)})


def _devices(selection: Selector | FailedOf | PlanOf) -> tuple[Selector, int]:
    """What the job will select by, and how many devices that are now."""
    try:
        known = inventory.nornir().inventory
        match selection:
            case FailedOf(job_id):
                selector = earlier.left_undone(job_id, known)
            case PlanOf(job_id):
                selector = earlier.planned(job_id, known)
            case _:
                selector = selection
        return selector, len(selector.hosts(known))
    except SelectionError as exc:
        raise BadRequest(str(exc)) from exc
    except inventory.InventoryError as exc:
        raise Unavailable(str(exc)) from exc
