"""URLs of the jobs API, below ``/api/v1.0/``. A trailing slash is allowed but never needed."""

from django.urls import re_path

from cnaasjobs.api.views import NoMethods
from jobs.api import described_elsewhere  # noqa: F401  (describes what no URL below stands for)
from jobs.api.device_views import DeviceJobs, JobDevices
from jobs.api.log_view import JobLogLines
from jobs.api.server_views import Permissions, Version
from jobs.api.views import JobViewSet
from jobs.api.waiting_views import LinesViewSet, WaitingViewSet

urlpatterns = [
    re_path(r"^jobs/?$", JobViewSet.as_view({"get": "list"})),
    re_path(r"^job/?$", NoMethods.as_view()),
    re_path(r"^job/(?P<job_id>[^/]+)/?$", JobViewSet.as_view({"get": "retrieve", "put": "act"})),
    re_path(r"^job/(?P<job_id>[^/]+)/log/?$", JobLogLines.as_view({"get": "list"})),
    re_path(r"^job/(?P<job_id>[^/]+)/devices/?$", JobDevices.as_view({"get": "list"})),
    re_path(r"^job/(?P<job_id>[^/]+)/devices/(?P<hostname>[\s\S]*[^/])/?$", JobDevices.as_view({"get": "retrieve"})),
    re_path(r"^job/(?P<job_id>[^/]+)/waiting/?$", WaitingViewSet.as_view({"get": "retrieve"})),
    re_path(r"^locks/?$", LinesViewSet.as_view({"get": "list"})),
    re_path(r"^device/(?P<hostname>[\s\S]+?)/jobs/?$", DeviceJobs.as_view({"get": "list"})),
    re_path(r"^auth/permissions/?$", Permissions.as_view({"get": "list"})),
    re_path(r"^system/version/?$", Version.as_view({"get": "retrieve"})),
]
