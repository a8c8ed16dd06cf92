"""Django's permissions of users and groups, read in one statement: every request of the API asks for one of them."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.backends import ModelBackend

from cnaasjobs.db.accounts import permissions_of


def remember(user: Any, permissions: Iterable[str]) -> None:
    """They were read with the user already. Django's own name: it lives as long as the user's object."""
    user._perm_cache = set(permissions)


class OneQueryBackend(ModelBackend):
    """Django's own backend, with its two queries for a user's permissions and the groups' in one."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            remember(user_obj, permissions_of(user_obj.pk))
        found: set[str] = user_obj._perm_cache
        return found
