"""Every statement on jobs that is written by hand: one store per database, all of one signature, ``signature.Store``.

``store()`` is the one of Django's connection. Whoever calls it decides what is to be done and knows no SQL; the store
knows no policy. What both databases are told in the same words is in ``common``. See
docs/decisions/0006-hand-written-sql.md.
"""

from typing import Final

from django.db import connection

from jobs.sql import postgresql, sqlite
from jobs.sql.signature import Store

# One by one, for mypy compares a module with a signature here, and not within a dict.
_ON_POSTGRESQL: Final[Store] = postgresql
_ON_SQLITE: Final[Store] = sqlite
_STORES: Final = {"postgresql": _ON_POSTGRESQL, "sqlite": _ON_SQLITE}


def store() -> Store:
    return _STORES[connection.vendor]
