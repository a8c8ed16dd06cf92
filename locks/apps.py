"""The app of named locks."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from cnaasjobs.db import changes


class LocksConfig(AppConfig):
    name = "locks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(changes.after_migrate, sender=self)
