"""A refusal of ``jobs.rights`` as the API answers it: a 403 that is in the audit trail too."""

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework.request import Request

from cnaasjobs.api.caller import refused
from cnaasjobs.api.errors import Forbidden, Unavailable
from jobs.errors import NotAllowed
from jobs.rights.selected import DevicesUnknown

_MISSING = "Missing permission "


@contextmanager
def forbidden_if_refused(request: Request) -> Iterator[None]:
    """Not in a transaction: the refusal is stored."""
    try:
        yield
    except NotAllowed as exc:
        refused.send(sender=NotAllowed, request=request, permission=str(exc).removeprefix(_MISSING))
        raise Forbidden(str(exc)) from exc
    except DevicesUnknown as exc:
        raise Unavailable(str(exc)) from exc
