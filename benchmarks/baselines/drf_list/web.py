# ruff: noqa: E402  (Django is set up in this file, before what needs it is imported)
"""The list of jobs as DRF's documentation writes one: ModelViewSet, PageNumberPagination, ModelSerializer. No token."""

from typing import Any, ClassVar

from django.conf import settings

from benchmarks.baselines.django_database import database

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF="benchmarks.baselines.drf_list.web",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "benchmarks.baselines.drf_list",
    ],
    DATABASES={"default": {**database(), "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}},
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "PAGE_SIZE": 50,
    },
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from rest_framework import routers, serializers, viewsets

from benchmarks.baselines.drf_list.models import Job


class JobSerializer(serializers.ModelSerializer[Job]):
    result: ClassVar[Any] = serializers.JSONField(source="outcome.result", read_only=True, default=None)
    exception: ClassVar[Any] = serializers.JSONField(source="outcome.exception", read_only=True, default=None)

    class Meta:
        model = Job
        fields = (
            "id", "status", "scheduled_time", "start_time", "finish_time", "function_name", "scheduled_by", "comment",
            "ticket_ref", "next_job_id", "result", "exception", "finished_devices", "change_score", "start_arguments",
        )  # fmt: skip


class JobViewSet(viewsets.ModelViewSet[Job]):
    queryset = Job._default_manager.select_related("outcome").order_by("id")
    serializer_class = JobSerializer


router = routers.DefaultRouter()
router.register("jobs", JobViewSet)
urlpatterns = [path("", include(router.urls))]
application = get_wsgi_application()
