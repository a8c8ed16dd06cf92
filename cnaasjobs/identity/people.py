"""Which user a person of the identity provider is. The user is made when they first come, and is never a superuser.

Their membership of the groups that ``CNAASJOBS_JWT_GROUPS`` names follows the claim; other groups and permissions are
those that an administrator gave. Each request has the rights that its own JWT states. Sessions and the owners of
schedules have the rights in the database, which holds what the latest JWT said.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from re import sub
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib.auth.models import Group, User
from django.db import Error, IntegrityError, transaction
from django.db.models import Q
from django.http import HttpRequest

from cnaasjobs.api.caller import OF_PROVIDER, serving
from cnaasjobs.conf import conf
from cnaasjobs.db.accounts import Granted, Owner, granted_to, listed, owner_of_identity
from cnaasjobs.db.not_now import takes_no_writes
from cnaasjobs.events import record
from cnaasjobs.identity.actions import IdentityAction
from cnaasjobs.identity.models import Identity
from cnaasjobs.identity.provider import Person

_LONGEST: Final = 64  # of the person's own name and of the provider's host, each

_missing: set[str] = set()  # groups that this process has already reported


def owner_of(person: Person, request: HttpRequest) -> Owner:
    """The person's user, with the rights that their JWT states: one statement, if nothing has changed."""
    owner = _look_up(person)
    if owner is None:
        with _by_provider(request, person.issuer):
            _make(person)
        owner = _look_up(person)
        if owner is None:
            raise IntegrityError(f"the identity {person.subject} of {person.issuer} was deleted at once")
    if owner.user.is_active and set(listed(owner.beside)) & _managed() != person.groups:
        try:
            with _by_provider(request, person.issuer):
                _follow(owner.user, person)
        except Error as exc:
            if not takes_no_writes(exc):
                raise  # otherwise a later request writes it: this one's rights come from its JWT
        return owner._replace(granted=_granted(owner.user, person.groups))
    return owner


def _look_up(person: Person) -> Owner | None:
    return owner_of_identity(Identity._meta.db_table, person.issuer, person.subject)


def _managed() -> set[str]:
    """The groups that the claim decides."""
    return set(conf.jwt_groups.values())


def _make(person: Person) -> None:
    for name in _names(person):
        try:
            with transaction.atomic():
                user = User.objects.create_user(name)  # without a password: they can only sign in at the provider
                Identity.objects.create(issuer=person.issuer, subject=person.subject, user=user)
            return
        except IntegrityError:  # another person has the name, or another request made this one
            if Identity.objects.filter(issuer=person.issuer, subject=person.subject).exists():
                return


def _names(person: Person) -> Iterator[str]:
    """What the user may be called: names are not unique at every provider."""
    plain = sub(r"[^\w.@+-]", "_", unicodedata.normalize("NFKC", person.name))[:_LONGEST]
    host = (urlsplit(person.issuer).hostname or "")[:_LONGEST]
    yield f"{plain}{OF_PROVIDER}{host}"
    identity = sha256(f"{person.issuer} {person.subject}".encode()).hexdigest()
    yield f"{plain}{OF_PROVIDER}{host}{OF_PROVIDER}{identity[:16]}"


def _follow(user: User, person: Person) -> None:
    with transaction.atomic():
        identity = Identity.objects.select_for_update().get(issuer=person.issuer, subject=person.subject)
        if person.issued < identity.groups_of:
            return
        managed = {group.name: group for group in Group.objects.filter(name__in=_managed())}
        for name in sorted(person.groups - managed.keys() - _missing):
            _missing.add(name)
            record(IdentityAction.GROUP_MISSING, group=name)
        held = set(user.groups.filter(name__in=managed).values_list("name", flat=True))
        wanted = person.groups & managed.keys()
        if held == wanted:
            return
        user.groups.remove(*(managed[name] for name in held - wanted))
        user.groups.add(*(managed[name] for name in wanted - held))
        identity.groups_of = person.issued
        identity.save(update_fields=["groups_of"])


def _granted(user: User, groups: frozenset[str]) -> Granted:
    """What the user is granted by these groups, which the claim decided, and by all others that they are in."""
    others = user.groups.exclude(name__in=_managed()).values("pk")
    held = Group.objects.filter(Q(name__in=groups) | Q(pk__in=others))
    return granted_to(user.pk, list(held.values_list("pk", flat=True)))


class _Provider:
    """The provider as an actor: the audit trail names it where it makes users or changes their groups."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_username(self) -> str:
        return self._issuer


@contextmanager
def _by_provider(request: HttpRequest, issuer: str) -> Iterator[None]:
    """Inside, the audit trail names the provider as the actor: users don't grant themselves rights."""
    before: Any = getattr(request, "user", None)
    request.user = _Provider(issuer)  # type: ignore[assignment]
    try:
        with serving(request):
            yield
    finally:
        request.user = before
