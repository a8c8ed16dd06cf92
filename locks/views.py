"""The locks API: who holds a lock, and clearing it."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.body import json_object
from cnaasjobs.api.caller import note_refusal, origin, who
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import BadRequest, Forbidden, NotFound
from cnaasjobs.api.times import time_text
from cnaasjobs.api.views import ApiViewSet
from locks import described, holders, service


class LockViewSet(ApiViewSet):
    described = described.LOCKS
    permissions_required = {"GET": "locks.view_lock", "DELETE": "locks.clear_lock"}

    def list(self, request: Request) -> Response:
        return success({"locks": _locks_json()})

    def clear(self, request: Request) -> Response:
        name = json_object(request).get("name")
        if name is None or name == "":
            raise BadRequest("No lock name specified")
        if not isinstance(name, str):
            raise BadRequest("name must be a string")
        try:
            cleared = service.clear(name, who=who(request), origin=origin(request), user=request.user)
        except service.ClearRefused as exc:
            note_refusal(request, str(exc))
            raise Forbidden(str(exc)) from exc
        except service.LockNotFound as exc:
            raise NotFound(str(exc)) from exc
        return success({"name": cleared.name, "status": "deleted"})


def _locks_json() -> list[dict[str, Any]]:
    held = [(lock, lock.holder_id) for lock in service.held() if lock.holder_id is not None]
    states = holders.provider().describe([holder_id for _, holder_id in held])
    return [
        {
            "job_id": holder_id,
            "name": lock.name,
            "start_time": time_text(lock.start_time),
            "abort": holder_id in states and states[holder_id].abort,
        }
        for lock, holder_id in held
    ]
