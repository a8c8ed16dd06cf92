"""Nobody can grant more than they have: who may make a token for another user, change an account, or grant rights."""

from typing import Any

from cnaasjobs.db.accounts import permissions_of


def lacking(maker: Any, user: Any) -> list[str]:
    """What ``user`` may do and ``maker`` may not. An inactive account counts as if it were active: it may be again."""
    if maker.is_superuser:
        return []
    return sorted(set(permissions_of(user.pk)) - maker.get_all_permissions())


def may_change(maker: Any, user: Any) -> bool:
    """Whether ``maker`` may change the account: with that they could log in as ``user``, by setting a new password."""
    if maker.is_superuser:
        return True
    return not user.is_superuser and not lacking(maker, user)


def name_of(permission: Any) -> str:
    """Such as ``jobs.add_job``."""
    return f"{permission.content_type.app_label}.{permission.codename}"
