"""The app of the devices."""

from typing import Any

from celery.signals import worker_init
from django.apps import AppConfig


class DevicesConfig(AppConfig):
    name = "devices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from devices import checks  # noqa: F401  (registration by import)
        from devices.results.view import SyncResult
        from jobs import result_views

        result_views.register("devices.tasks.sync_devices", SyncResult())

        worker_init.connect(_import_drivers, dispatch_uid="devices.import_drivers")


def _import_drivers(**_: Any) -> None:
    """NAPALM is large and only workers need it. Importing it before the children fork lets them share its memory."""
    from devices.sync import campaign  # noqa: F401
