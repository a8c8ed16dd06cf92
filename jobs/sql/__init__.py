"""Every hand-written statement on jobs: one store per database, all with the same signature, ``signature.Store``.

``store()`` is the one for Django's connection. Its callers decide what is to be done and know no SQL; the store knows
no policy. Statements that are the same for both databases are in ``common``. See
docs/decisions/0006-hand-written-sql.md.
"""

from typing import Final

from django.db import connection

from jobs.sql import postgresql, sqlite
from jobs.sql.signature import Store

# One by one: here mypy compares each module with the signature, which it does not do inside a dict.
_ON_POSTGRESQL: Final[Store] = postgresql
_ON_SQLITE: Final[Store] = sqlite
_STORES: Final = {"postgresql": _ON_POSTGRESQL, "sqlite": _ON_SQLITE}


def store() -> Store:
    return _STORES[connection.vendor]
