"""The URLs of this app, below ``/api/v1.0/``."""

from django.urls import re_path

from devices.api.views import DeviceSyncto

_create = DeviceSyncto.as_view({"post": "create"})

urlpatterns = [
    re_path(r"^device_syncto/?$", _create, name="device_syncto"),
    re_path(r"^device_syncto/hostname/(?P<hostname>[^/]+)/?$", _create, name="device_syncto_hostname"),
]
