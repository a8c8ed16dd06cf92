"""Every kind of user, and the credentials that they may use."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib.auth.models import Group, User
from django.test import Client
from knox.models import AuthToken

from cnaasjobs.identity import own
from jobs.models import GroupScope
from jobs.rights import roles
from tests.identity.issuer import signed

NOBODY, NONE, VIEWER, OPERATOR = "nobody", "no permission", "viewer", "operator"
SCOPED, ADMIN, SUPERUSER = "scoped operator", "admin", "superuser"
EVERYBODY: Final = (NOBODY, NONE, VIEWER, OPERATOR, SCOPED, ADMIN, SUPERUSER)

ALL: Final = frozenset(EVERYBODY)
KNOWN: Final = ALL - {NOBODY}
READ: Final = KNOWN - {NONE}
OPERATE: Final = READ - {VIEWER}  # inside the scoped operator's scope
OPERATE_ANYWHERE: Final = OPERATE - {SCOPED}
ADMINISTER: Final = frozenset({ADMIN, SUPERUSER})
ROOT: Final = frozenset({SUPERUSER})
NO_ONE: Final[frozenset[str]] = frozenset()

PASSWORD = "correct horse"
INSIDE, OUTSIDE = "eosaccess1", "core1"  # of the lab's inventory
GROUPS: Final = {VIEWER: roles.VIEWER, OPERATOR: roles.OPERATOR, ADMIN: roles.ADMIN, SCOPED: "building 1"}


def make_groups() -> None:
    """The roles are there; one more is an operator of some devices."""
    scoped = Group.objects.create(name=GROUPS[SCOPED])
    scoped.permissions.set(Group.objects.get(name=roles.OPERATOR).permissions.all())
    GroupScope.objects.create(group=scoped, device_groups="building1")


def make_user(who: str, *, is_staff: bool = False) -> User | None:
    if who == NOBODY:
        return None
    make = User.objects.create_superuser if who == SUPERUSER else User.objects.create_user
    user = make(who, password=PASSWORD, is_staff=is_staff or who == SUPERUSER)
    if who in GROUPS:
        user.groups.add(Group.objects.get(name=GROUPS[who]))
    return user


def by_session(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, "cnaasjobs.api.permissions.OneQueryBackend")
    return client


def by_bearer(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


def bearers(who: str, user: User | None) -> Mapping[str, Callable[[], str]]:
    """The texts that a program may come with."""
    if user is None:
        return {"a wrong token": lambda: "0" * 64, "a wrong JWT": lambda: "a.b.c"}
    found: dict[str, Callable[[], str]] = {
        "token": lambda: str(AuthToken.objects.create(user)[1]),
        "JWT of our own": lambda: own.issued_to(user.username, user.password),
    }
    if who != SUPERUSER:  # which no claim makes
        groups = [GROUPS[who]] if who in GROUPS else []
        found["JWT of the provider"] = lambda: signed(sub=who, groups=groups)
    return found


def is_refused(response: Any) -> bool:
    """By the API in a status; a browser is asked to sign in."""
    location = response.headers.get("Location", "")
    return response.status_code in (401, 403) or "/sign-in?" in location or "/admin/login/" in location
