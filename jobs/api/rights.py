"""Who asks over the API, and what a refusal of ``jobs.rights`` becomes there: a 403 and an entry in the audit trail."""

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework.request import Request

from cnaasjobs.api.caller import note_refusal, origin, who
from cnaasjobs.api.errors import Forbidden, Unavailable
from jobs.audit import trail
from jobs.errors import NotAllowed
from jobs.rights.selected import DevicesUnknown


def by_of(request: Request) -> trail.By:
    token = request.auth if isinstance(request.auth, str) else None
    return trail.By(who=who(request), origin=origin(request), user=request.user, token=token)


@contextmanager
def forbidden_if_refused(request: Request) -> Iterator[None]:
    """Turns refusals into the API's errors. Not for use inside a transaction: a refusal has to be stored."""
    try:
        yield
    except NotAllowed as exc:
        note_refusal(request, str(exc))
        raise Forbidden(str(exc)) from exc
    except DevicesUnknown as exc:
        raise Unavailable(str(exc)) from exc
