"""URLs below ``/api/v1.0/``."""

from django.urls import re_path

from cnaasjobs.identity.views import Identity, Login, Refresh

urlpatterns = [
    re_path(r"^auth/?$", Login.as_view({"post": "create"})),
    re_path(r"^auth/refresh/?$", Refresh.as_view({"post": "create"})),
    re_path(r"^auth/identity/?$", Identity.as_view({"get": "retrieve"})),
]
