"""Who a user is at an identity provider."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class Identity(models.Model):
    """One person of one provider, and the user that stands for them here.

    A user is made for each identity and belongs to no other: having the same name as an existing user does not make
    anybody that user.
    """

    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255, help_text="Identifies the person there for good: the claim sub.")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    groups_of = models.BigIntegerField(
        default=0, help_text="When the JWT that last changed the user's groups was issued, in seconds since 1970."
    )

    class Meta:
        verbose_name = "identity"
        verbose_name_plural = "identities"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="identity_one_user_for_each_person")
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"
