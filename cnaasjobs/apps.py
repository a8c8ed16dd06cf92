"""Replaces Django's admin site by the project's own; registers checks of settings and limits of connections."""

from django.contrib.admin.apps import AdminConfig


class CnaasjobsAdminConfig(AdminConfig):
    default_site = "jobs.admin_pages.site.Site"

    def ready(self) -> None:
        super().ready()
        from cnaasjobs import checks  # noqa: F401  (registration by import)
        from cnaasjobs.db import limits  # noqa: F401  (registration by import)
