"""The URLs of this app, below ``/api/v1.0/``."""

from django.urls import re_path

from devices.api.inventory_views import Devices, Groups, ManagementDomains, SyncHistory
from devices.api.repository_views import Repository, ServerSettings
from devices.api.views import DeviceSyncto

_create = DeviceSyncto.as_view({"post": "create"})

urlpatterns = [
    re_path(r"^device_syncto/?$", _create, name="device_syncto"),
    re_path(r"^device_syncto/hostname/(?P<hostname>[\s\S]*[^/])/?$", _create, name="device_syncto_hostname"),
    re_path(r"^devices/?$", Devices.as_view({"get": "list"})),
    re_path(r"^device/(?P<hostname>[\s\S]*[^/])/?$", Devices.as_view({"get": "retrieve"})),
    re_path(r"^device_synchistory/?$", SyncHistory.as_view({"get": "list"})),
    re_path(r"^groups/?$", Groups.as_view({"get": "list"})),
    re_path(r"^groups/(?P<group>[\s\S]*[^/])/?$", Groups.as_view({"get": "retrieve"})),
    re_path(r"^mgmtdomains/?$", ManagementDomains.as_view({"get": "list"})),
    re_path(r"^settings/server/?$", ServerSettings.as_view({"get": "retrieve"})),
    re_path(r"^repository/(?P<name>[^/]+)/?$", Repository.as_view({"get": "retrieve", "put": "refresh"})),
]
