"""Who may do what: tables beside Django's own of users, groups and permissions."""

from django.contrib.auth.models import Group
from django.db import models


class Role(models.Model):
    """A group that the platform made, and what it was ever given, so that what a person takes out of it stays out."""

    name = models.CharField(max_length=32, primary_key=True)
    group = models.OneToOneField(Group, null=True, on_delete=models.SET_NULL, related_name="+")
    given = models.TextField(default="[]", help_text="JSON list of all permissions that it was ever given.")

    def __str__(self) -> str:
        return self.name


class GroupScope(models.Model):
    """How far the permissions of a group reach. A group without a scope is not limited."""

    group = models.OneToOneField(Group, primary_key=True, on_delete=models.CASCADE, related_name="scope")
    device_groups = models.TextField(
        blank=True, help_text="Groups of the inventory, one per line; their subgroups are included."
    )
    device_types = models.TextField(
        blank=True,
        help_text="ACCESS, DIST or CORE, one per line. Groups or types: a device is allowed if either names it. "
        "If both are empty, any device is allowed.",
    )
    functions = models.TextField(
        blank=True, help_text='Functions, one per line; "sync_devices (dry_run)" allows dry runs only. If empty, any.'
    )

    class Meta:
        verbose_name = "scope"

    def __str__(self) -> str:
        named = {
            "device groups": self.device_groups,
            "device types": self.device_types,
            "functions": self.functions,
        }
        return f"of {self.group}: " + "; ".join(
            f"{words} {', '.join(names.split(chr(10)))}" for words, names in named.items() if names
        )
