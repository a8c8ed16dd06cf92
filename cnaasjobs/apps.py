"""Puts the project's own admin site in the place of Django's."""

from django.contrib.admin.apps import AdminConfig


class CnaasjobsAdminConfig(AdminConfig):
    default_site = "jobs.admin_pages.site.Site"
