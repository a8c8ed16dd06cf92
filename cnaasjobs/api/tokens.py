"""How long a token lasts."""

from datetime import timedelta

from cnaasjobs.conf import conf


def lifetime() -> timedelta:
    """The lifetime of a token that is made without its own end."""
    return timedelta(days=conf.token_days)
