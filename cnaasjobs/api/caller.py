"""Who calls, and from where: texts for ``scheduled_by``, abort reasons and the audit trail."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from django.dispatch import Signal
from django.http import HttpRequest

from cnaasjobs.conf import conf

if TYPE_CHECKING:  # workers and Beat come here too, and do without DRF
    from rest_framework.request import Request

refused = Signal()  # request, permission: a known user asked for a change without having the permission

Network = IPv4Network | IPv6Network

OF_PROVIDER: Final = "/"  # between a name and its provider's host; a name that an administrator types can't contain it
_MISSING: Final = "Missing permission "

_current: ContextVar[HttpRequest | None] = ContextVar("current_request", default=None)


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """Inside, ``current_request`` is this one, for code that learns of a change by a signal without its request."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def current_request() -> HttpRequest | None:
    """The request that this thread is answering; None outside of one."""
    return _current.get()


def who(request: "Request | HttpRequest") -> str:
    """The user's name as text."""
    user = getattr(request, "user", None)
    return str(user.get_username())[:255] if user is not None else ""


def plain_name(username: str) -> str:
    """What a person is called, without the provider and in one case: ``Ann``, ``ann/login.example.org``."""
    return username.partition(OF_PROVIDER)[0].casefold()


def note_refusal(request: "Request | HttpRequest", why: str) -> None:
    """Tell the audit trail that a known user has the permission, but not for this. Not to be called in a transaction.

    Args:
        why: in words, such as "Missing permission jobs.abort_job for device sw1".
    """
    refused.send(sender=None, request=request, permission=why.removeprefix(_MISSING))


def origin(request: "Request | HttpRequest") -> str:
    """The client's address: the peer's, or behind a trusted proxy the nearest in X-Forwarded-For that is not a proxy's.

    A client can write anything into that header, so only what trusted proxies appended counts, read from the right.
    """
    trusted = _networks(tuple(conf.trusted_proxies))
    address = _address(request.META.get("REMOTE_ADDR", "")) or "unix socket"
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and _is_trusted(address, trusted):
        nearer = _address(hops.pop())
        if nearer is None:
            break
        address = nearer
    return address


@lru_cache(maxsize=256)  # called for every request
def neighbourhood(address: str) -> str:
    """What limits count by: an IPv4 address, or the network of an IPv6 address, of which one host may have all 2⁶⁴."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address  # "unix socket", "command line"
    return address if parsed.version == 4 else str(ip_network(f"{address.partition('%')[0]}/64", strict=False))


@lru_cache(maxsize=8)
def _networks(named: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(name, strict=False) for name in named)


def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    if address == "unix socket":  # only a proxy on this machine can be the other end
        return bool(trusted)
    return any(ip_address(address) in network for network in trusted)


@lru_cache(maxsize=256)
def _address(text: str) -> str | None:
    """One hop in canonical form; None if it is not an address. Some proxies add the port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
