# ruff: noqa: E402  (Django is set up in this file, before what needs it is imported)
"""What the promises of a POST cost by themselves, in a bare Django view.

A token is looked up; the job's row and its audit entry are written in one transaction; its message is published, and
confirmed. See ``guarded``.
"""

from typing import Any

from django.conf import settings

from benchmarks.baselines.django_database import database

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF="benchmarks.baselines.web_guarded",
    DATABASES={"default": {**database(), "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": False}},
)

import django

django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from benchmarks.baselines import guarded

TOKEN = """
    PREPARE token (text) AS
    SELECT token.expiry, person.username FROM knox_authtoken AS token JOIN auth_user AS person
        ON person.id = token.user_id WHERE token.digest = $1
"""
JOB = """
    PREPARE job (text, text) AS
    INSERT INTO jobs_job (status, scheduled_time, dispatched_at, function_name, task_name, start_arguments, queue,
        priority, parked, attempt, retries, rerun_if_lost)
    VALUES ('SCHEDULED', statement_timestamp(), statement_timestamp(), 'started_at', $1, '{}', $2,
        0, FALSE, 0, 0, FALSE)
    RETURNING id
"""
AUDIT = """
    PREPARE audit (bigint) AS
    INSERT INTO jobs_auditentry (time, who, origin, action, job_id, detail)
    VALUES (statement_timestamp(), 'bench', '127.0.0.1', 'scheduled', $1, 'started_at')
"""


def prepare(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        for statement in (TOKEN, JOB, AUDIT):
            cursor.execute(statement)


connection_created.connect(prepare)


def schedule(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("EXECUTE token (%s)", [request.headers.get("Authorization", "")])
        cursor.fetchone()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("EXECUTE job (%s, %s)", [guarded.started_at.name, guarded.QUEUE])
        (job_id,) = cursor.fetchone()
        cursor.execute("EXECUTE audit (%s)", [job_id])
    guarded.started_at.apply_async((job_id,))
    return JsonResponse({"status": "success", "job_id": job_id})


urlpatterns = [path("schedule", schedule)]
application = get_wsgi_application()
