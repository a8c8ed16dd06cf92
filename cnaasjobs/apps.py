"""Replaces Django's admin site by the project's own; registers checks of settings and limits of connections.

Django loads it before any model or task, so that the Celery application there is ours.
"""

from django.contrib.admin.apps import AdminConfig

from cnaasjobs import celery  # noqa: F401  (the application is made by import)


class CnaasjobsAdminConfig(AdminConfig):
    default_site = "jobs.admin_pages.site.Site"

    def ready(self) -> None:
        super().ready()
        from cnaasjobs import checks  # noqa: F401  (registration by import)
        from cnaasjobs.db import limits  # noqa: F401  (registration by import)
