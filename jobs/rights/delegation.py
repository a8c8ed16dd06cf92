"""Nobody can grant more than they have: who may make a token for another user, change an account, or grant rights."""

from typing import Any

from django.contrib.auth.models import Group

from cnaasjobs.db.accounts import granted_to
from jobs.models import GroupScope
from jobs.rights.reach import EVERYWHERE, Limit, Reach, covers, limits_of, reach_of


def lacking(maker: Any, user: Any) -> list[str]:
    """What ``user`` may do and ``maker`` may not. An inactive account counts as active: it may become so again."""
    if maker.is_superuser:
        return []
    theirs = granted_to(user.pk)
    return [
        name
        for name in sorted(theirs.permissions)
        if not _has(maker, name, limits_of(user.pk, name) if name in theirs.limited else EVERYWHERE)
    ]


def may_change(maker: Any, user: Any) -> bool:
    """Whether ``maker`` may change the account: with that they could log in as ``user``, by setting a new password."""
    if maker.is_superuser:
        return True
    return not user.is_superuser and not lacking(maker, user)


def refusal_of_token(maker: Any, user: Any) -> str | None:
    """Why ``maker`` may not make a token for ``user``, in words; None if they may.

    Everybody may make their own. For another user only if that user may do nothing that the maker may not; never for a
    superuser.
    """
    if maker.pk == user.pk:
        return None
    if user.is_superuser:
        return f"{user.get_username()} is a superuser: only they can make such a token"
    if more := lacking(maker, user):
        return f"{user.get_username()} may do more than you: {', '.join(more[:3])}"
    return None


def may_give(maker: Any, permission: Any) -> bool:
    """Whether ``maker`` may give this permission to a user directly, which means without a scope."""
    return maker.is_superuser or _has(maker, name_of(permission), EVERYWHERE)


def holds(maker: Any, group: Group, *, without_scope: bool = False) -> bool:
    """Whether ``maker`` may do all that the members of the group may, or could if it had no scope."""
    if maker.is_superuser:
        return True
    scope = None if without_scope else GroupScope.objects.filter(group=group).first()
    reach = EVERYWHERE if scope is None else (Limit.of(scope),)
    granted = group.permissions.select_related("content_type").all()
    return all(_has(maker, name_of(each), reach) for each in granted)


def name_of(permission: Any) -> str:
    """Such as ``jobs.add_job``."""
    return f"{permission.content_type.app_label}.{permission.codename}"


def _has(maker: Any, permission: str, reach: Reach) -> bool:
    return bool(maker.has_perm(permission)) and covers(reach_of(maker, permission), reach)
