"""Every URL of the project. ``jobs.api.health`` answers ``/healthz`` and ``/readyz`` before these."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from cnaasjobs.api.schema_views import ApiSchema, api_docs
from jobs.metrics.view import Metrics

handler400 = "cnaasjobs.api.errors.bad_request"
handler403 = "cnaasjobs.api.errors.forbidden"
handler404 = "cnaasjobs.api.errors.not_found"
handler500 = "cnaasjobs.api.errors.server_error"

API = "api/v1.0/"

admin.autodiscover()  # here, because only processes that show pages need them (``CnaasjobsAdminConfig``)

urlpatterns = [
    path(API, include("jobs.api.urls")),  # first, because most requests are for it
    path(API, include("cnaasjobs.identity.urls")),
    re_path(f"^{API}schema/?$", ApiSchema.as_view({"get": "retrieve"})),
    re_path(f"^{API}docs/?$", api_docs),
    path(API, include("locks.urls")),
    *([path(API, include("devices.api.urls"))] if apps.is_installed("devices") else []),
    re_path("^metrics/?$", Metrics.as_view({"get": "retrieve"})),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("", include("console.urls")),
]
