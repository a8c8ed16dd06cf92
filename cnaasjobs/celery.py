"""The Celery application: brokers, workers and Beat start from here (``celery -A cnaasjobs worker``)."""

import os

from celery import Celery

from jobs import worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")

app = Celery("cnaasjobs")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker.install(app)
