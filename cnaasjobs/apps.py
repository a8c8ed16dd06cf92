"""Replaces Django's admin site by the project's own; registers checks of settings and limits of connections.

Django loads it before any model or task, so that the Celery application there is ours.
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks as django_checks

from cnaasjobs import celery  # noqa: F401  (the application is made by import)


class CnaasjobsAdminConfig(SimpleAdminConfig):
    """Its pages are loaded with the URLs: a worker, a Beat, and most commands show none."""

    default_site = "jobs.admin_pages.site.Site"

    def ready(self) -> None:
        django_checks.register(check_dependencies, django_checks.Tags.admin)
        django_checks.register(_check_pages, django_checks.Tags.admin)
        from cnaasjobs import checks  # noqa: F401  (registration by import)
        from cnaasjobs.db import limits  # noqa: F401  (registration by import)


def _check_pages(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[django_checks.CheckMessage]:
    """As Django's check, which would pass without a look where the URLs are not loaded yet."""
    from django.contrib import admin

    admin.autodiscover()
    return list(check_admin_app(app_configs))
