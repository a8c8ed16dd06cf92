"""The app of the console. It has no tables."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
