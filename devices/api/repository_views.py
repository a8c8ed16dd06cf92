"""Where the inventory and the templates come from, and reading them again."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.body import json_object
from cnaasjobs.api.envelope import success
from cnaasjobs.api.errors import BadRequest, NotFound, Unavailable
from cnaasjobs.api.filters import quoted
from cnaasjobs.api.views import ApiViewSet
from cnaasjobs.conf import conf
from cnaasjobs.git import commit_of
from devices import inventory, rendering
from devices.api import described
from devices.api.inventory_views import read_inventory
from devices.rendering import TemplateFailure


def _read_settings() -> None:
    inventory.forget()
    read_inventory()


def _read_templates() -> None:
    try:
        rendering.read_anew()
    except TemplateFailure as exc:
        raise Unavailable(str(exc)) from exc


class Repository(ApiViewSet):
    """``GET`` and ``PUT /repository/settings``, ``/repository/templates``. Nothing is ever pulled."""

    described = described.REPOSITORY
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": "jobs.view_job", "PUT": "jobs.add_job"}
    read: ClassVar[Mapping[str, Callable[[], None]]] = {"settings": _read_settings, "templates": _read_templates}

    def retrieve(self, request: Request, name: str) -> Response:
        if name not in self.read:
            raise NotFound(f"No repository {quoted(name)}, only {' and '.join(self.read)}")
        return success(commit_of(inventory.directory() if name == "settings" else conf.templates))

    def refresh(self, request: Request, name: str) -> Response:
        action = json_object(request).get("action")
        if not isinstance(action, str) or action.upper() != "REFRESH":
            raise BadRequest("action must be REFRESH")
        if name in self.read:
            self.read[name]()
        return self.retrieve(request, name)


class ServerSettings(ApiViewSet):
    """``GET /settings/server``, without an envelope, as the existing front end expects it."""

    described = described.SERVER_SETTINGS
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": "jobs.view_job"}

    def retrieve(self, request: Request) -> Response:
        answer: dict[str, Any] = {"api": {"COMMIT_CONFIRMED_MODE": conf.confirm_mode}}
        return Response(answer)
