"""``GET /metrics``, in Prometheus's text format. It requires a token, like everything that reads jobs."""

from collections.abc import Mapping
from typing import ClassVar, Final

from django.http import HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.request import Request

from cnaasjobs.api.description import PLAIN, TEXT, Described
from cnaasjobs.api.views import ApiViewSet
from jobs.metrics.collect import DatabaseCollector
from jobs.metrics.fold import flush

_registry: Final = CollectorRegistry(auto_describe=False)
_registry.register(DatabaseCollector())


class Metrics(ApiViewSet):
    permissions_required: ClassVar[Mapping[str, str | None]] = {"GET": "jobs.view_job"}
    described: ClassVar[Mapping[str, Described]] = {
        "retrieve": Described(summary="Metrics for Prometheus", answer=TEXT, bare=True, media=(PLAIN,))
    }

    def retrieve(self, request: Request) -> HttpResponse:
        flush()
        return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)
