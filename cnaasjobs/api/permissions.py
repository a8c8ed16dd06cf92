"""Django's permissions of users and groups, read in one statement, because every request of the API needs one."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from cnaasjobs.api import throttle
from cnaasjobs.api.caller import neighbourhood, origin
from cnaasjobs.db.accounts import Granted, granted_to, owner_with_id


def remember(user: Any, granted: Granted) -> None:
    """Keep with the user object the permissions that were read together with it.

    The first attribute is Django's own cache, which lives as long as the user object; the second lives beside it.
    """
    user._perm_cache = set(granted.permissions)
    user._granted = granted


def is_limited(user: Any, permission: str) -> bool:
    """Whether a permission that the user has is good only for what the scopes of their groups name."""
    if user.is_superuser or user.pk is None:  # without a row: the operator of a development server
        return False
    return permission in granted_of(user).limited


def granted_of(user: Any) -> Granted:
    """What a user is granted, read once. Only for users who have a row."""
    if not hasattr(user, "_granted"):
        remember(user, granted_to(user.pk))
    found: Granted = user._granted
    return found


class OneQueryBackend(ModelBackend):
    """Django's backend, with one query for a user and all their permissions, and a limit on wrong logins."""

    def get_user(self, user_id: int) -> User | None:
        """The user whose session it is; None if they may not log in any more."""
        owner = owner_with_id(user_id)
        if owner is None or not self.user_can_authenticate(owner.user):
            return None
        remember(owner.user, owner.granted)
        return owner.user

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **credentials: Any) -> Any:
        """On PermissionDenied Django's form says the same as for any wrong login: nobody learns which names exist."""
        if username is not None:
            username = str(username).replace("\x00", "\ufffd")  # PostgreSQL refuses to look for a NUL
        name, address = (username or "")[:150], origin(request) if request is not None else "command line"
        place = neighbourhood(address)
        if throttle.exhausted(throttle.LOGINS, "login", place) or throttle.exhausted(
            throttle.LOGINS_OF_A_NAME, "name", name
        ):
            throttle.turned_away(request)
            raise PermissionDenied("too many wrong logins")
        with throttle.hashing() as may_hash:
            if not may_hash:
                throttle.turned_away(request)
                raise PermissionDenied("too many logins at once")
            user = super().authenticate(request, username=username, password=password, **credentials)
        if user is None and username is not None:
            throttle.failed("login", throttle.LOGINS, "login", place, address=address)
            throttle.count(throttle.LOGINS_OF_A_NAME, "name", name)
        return user

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            remember(user_obj, granted_to(user_obj.pk))
        found: set[str] = user_obj._perm_cache
        return found
