"""Celery with django-celery-results as its documentation sets up the ``django-db`` backend."""
