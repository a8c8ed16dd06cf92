"""A Django project with nothing but Celery's results in it. ``BENCH_REUSE`` tunes it with ``CELERY_DB_REUSE_MAX``."""

import os

from benchmarks.baselines.django_database import database

SECRET_KEY = "benchmark"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_results", "django_celery_beat"]
DATABASES = {"default": database()}
DATABASES["default"].update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CELERY_BROKER_URL = os.environ["BENCH_BROKER_URL"]
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_DEFAULT_QUEUE = "django_db"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
if os.environ.get("BENCH_REUSE"):
    CELERY_DB_REUSE_MAX = int(os.environ["BENCH_REUSE"])
