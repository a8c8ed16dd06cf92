"""What front ends ask about the server itself: its version, and what the user may do."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.api.envelope import success
from cnaasjobs.api.views import ApiViewSet
from cnaasjobs.version import VERSION, git_version
from jobs.api import described

EVERYTHING = [{"pages": ["*"], "rights": ["*"]}]


class Permissions(ApiViewSet):
    """``GET /auth/permissions``, without an envelope, in the existing front end's own words.

    It asks for the right to ``read`` or ``write`` one of its pages, and shows buttons only to users who may write.
    """

    described = described.PERMISSIONS
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": None}

    def list(self, request: Request) -> Response:
        user = request.user
        may_start, may_abort = user.has_perm("jobs.add_job"), user.has_perm("jobs.abort_job")
        if may_start and may_abort:
            return Response(EVERYTHING)
        found: list[dict[str, Any]] = []
        if user.has_perm("jobs.view_job"):
            found.append({"pages": ["*"], "rights": ["read"]})
        if may_start:
            found.append({"pages": ["Config change", "Devices", "Groups"], "rights": ["write"]})
        if may_abort:
            found.append({"pages": ["Jobs"], "rights": ["write"]})
        return Response(found)


class Version(ApiViewSet):
    """``GET /system/version``."""

    described = described.VERSION
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": "jobs.view_job"}

    def retrieve(self, request: Request) -> Response:
        return success({"version": VERSION, "git_version": _git_version()})


@cache
def _git_version() -> str:
    """The version of the code that this process runs, even if another was checked out later."""
    return git_version()
