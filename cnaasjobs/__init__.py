"""The Django project: settings, the Celery application, URLs. ``cnaasjobs.api`` holds the HTTP conventions.

Nothing is imported here: processes that need neither Django nor Celery start from this package too.
"""
