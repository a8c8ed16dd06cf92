"""Who may make a token for whom (nobody can grant more than they have), and how long a token lasts."""

from datetime import timedelta
from typing import Any

from cnaasjobs.api.delegation import lacking
from cnaasjobs.conf import conf


def refusal(maker: Any, user: Any) -> str | None:
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


def lifetime() -> timedelta:
    """The lifetime of a token that is made without its own end."""
    return timedelta(days=conf.token_days)
