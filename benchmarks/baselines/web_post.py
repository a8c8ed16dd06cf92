# ruff: noqa: E402  (Django is set up in this file, before what needs it is imported)
"""A bare Django view that inserts a row, publishes its message, confirmed, and answers: no middleware, no token."""

from django.conf import settings

from benchmarks.baselines.django_database import database

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF="benchmarks.baselines.web_post",
    DATABASES={
        "default": {**database(), "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}
    },  # the product asks nothing
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from benchmarks.baselines import bare


def schedule(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bare_job (status, scheduled_time) VALUES ('SCHEDULED', now()) RETURNING id")
        (job_id,) = cursor.fetchone()
    bare.started_at.apply_async((job_id,))
    return JsonResponse({"status": "success", "job_id": job_id})


urlpatterns = [path("schedule", schedule)]
application = get_wsgi_application()
