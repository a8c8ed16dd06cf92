"""Who may do what: tables beside Django's own of users, groups and permissions."""

from django.contrib.auth.models import Group
from django.db import models


class Role(models.Model):
    """A group that the platform made, and what it was ever given, so that what a person takes out of it stays out."""

    name = models.CharField(max_length=32, primary_key=True)
    group = models.OneToOneField(Group, null=True, on_delete=models.SET_NULL, related_name="+")
    given = models.TextField(default="[]", help_text="JSON list of permissions.")

    def __str__(self) -> str:
        return self.name
