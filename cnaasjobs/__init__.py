"""The Django project: settings, the Celery application, URLs. ``cnaasjobs.api`` holds the HTTP conventions."""

from cnaasjobs.celery import app as celery_app

__all__ = ["celery_app"]
