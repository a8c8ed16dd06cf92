"""The app of the platform: connects Celery's signals and the holder provider of locks when Django is ready."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from cnaasjobs.db import changes


class JobsConfig(AppConfig):
    name = "jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from cnaasjobs.db.accounts import scopes_are_in
        from jobs import checks, signals  # noqa: F401  (registration by import, once models exist)
        from jobs.audit import accounts
        from jobs.beat import tolerance
        from jobs.lifecycle import lock_holders  # noqa: F401  (registration by import, once models exist)
        from jobs.metrics import counted_here
        from jobs.models import GroupScope
        from jobs.rights import roles

        accounts.connect()
        scopes_are_in(GroupScope._meta.db_table)
        counted_here.listen()
        tolerance.install()
        post_migrate.connect(changes.after_migrate, sender=self)
        post_migrate.connect(roles.after_migrate, dispatch_uid="jobs.rights.roles")
