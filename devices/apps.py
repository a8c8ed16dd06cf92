"""The app of the devices."""

from typing import Any

from celery.signals import worker_init
from django.apps import AppConfig


class DevicesConfig(AppConfig):
    name = "devices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from devices import checks, selected  # noqa: F401  (registration by import)
        from devices.follow_ups import AfterSync
        from devices.results.view import SyncResult
        from jobs import follow_ups, result_views
        from jobs.rights import selected as rights

        result_views.register("devices.tasks.sync_devices", SyncResult())
        follow_ups.register("devices.tasks.sync_devices", AfterSync())
        rights.register("devices.tasks.sync_devices", selected.devices_of)

        worker_init.connect(_before_fork, dispatch_uid="devices.before_fork")


def _before_fork(**_: Any) -> None:
    """NAPALM is large and only workers need it; the inventory may be large. Children share what is loaded now."""
    from devices import inventory
    from devices.sync import campaign  # noqa: F401

    inventory.preload()
