"""The app that remembers which user somebody of an identity provider is."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "cnaasjobs.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"
