"""The Django project: settings, the Celery application, urls. ``cnaasjobs.api`` holds HTTP conventions and knows no app."""

from cnaasjobs.celery import app as celery_app

__all__ = ["celery_app"]
