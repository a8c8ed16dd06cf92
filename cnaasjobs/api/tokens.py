"""Who may make a token for whom: nobody gives what he hasn't. And how long a token lasts."""

from datetime import timedelta
from typing import Any

from cnaasjobs.conf import conf


def refusal(maker: Any, user: Any) -> str | None:
    """Why ``maker`` may not make a token for ``user``, in words; None if he may.

    One's own, always. For another only where that one may do nothing that the maker may not; never a superuser's.
    """
    if maker.pk == user.pk:
        return None
    if user.is_superuser:
        return f"{user.get_username()} is a superuser, who alone makes such tokens"
    lacking = sorted(user.get_all_permissions() - maker.get_all_permissions())
    if lacking:
        return f"{user.get_username()} may do more than you: {', '.join(lacking[:3])}"
    return None


def lifetime() -> timedelta:
    """Of a token that is made without another end."""
    return timedelta(days=conf.token_days)
