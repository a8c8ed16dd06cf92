"""URLs of the locks API, below ``/api/v1.0/``."""

from django.urls import re_path

from locks.views import LockViewSet

urlpatterns = [re_path(r"^joblocks/?$", LockViewSet.as_view({"get": "list", "delete": "clear"}))]
