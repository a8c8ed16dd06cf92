"""What is secret, in one registry, and how it is kept out of everything stored, logged or answered.

Sources say what is secret: the environment's ``TEMPLATE_SECRET_*`` (and former values of them), the credentials among
the settings, and what apps register (devices: the inventory's passwords and keys). ``mask`` is called at the boundary:
where a result, an exception, an argument, an audit entry, a log line or an error's message leaves the code that made
it, and before it is wrapped or cut. Only devices get the real text.
"""

import functools
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping
from operator import call
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed

from cnaasjobs.conf import conf
from cnaasjobs.secret_forms import DERIVED_LENGTH, Finder

PREFIX: Final = "TEMPLATE_SECRET_"
FORMER: Final = f"FORMER_{PREFIX}"  # FORMER_TEMPLATE_SECRET_X, …_X_2: what TEMPLATE_SECRET_X was before
HIDDEN: Final = "********"
MIN_LENGTH: Final = 4  # a shorter value from an inventory occurs in too much innocent text
_MAX_FORMER: Final = 20

Named = frozenset[tuple[str, str]]  # (what is put in its place, the value)


class Secrets:
    """Values by the name that stands for each, and a mask that replaces each value by its name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._finder = Finder(sorted(variables.items()))

    @classmethod
    def from_environment(cls) -> "Secrets":
        """The secrets of the templates, under the names that the templates use."""
        found = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        return _compiled(tuple(sorted(found.items())))

    def mask(self, text: str) -> str:
        """The text without these secrets."""
        return self._finder.masked(text)


@functools.lru_cache(maxsize=1)
def _compiled(variables: tuple[tuple[str, str], ...]) -> Secrets:
    return Secrets(dict(variables))


# --- the registry -----------------------------------------------------------------------------------------------------

_sources: list[Callable[[], Named]] = []


def register(source: Callable[[], Named]) -> None:
    """Register a source of secrets. It is called often, so it must keep what it returns until that changes."""
    _sources.append(source)


def mask(text: str) -> str:
    """The text without any secret that this process knows."""
    return masker()(text)


def masker() -> Callable[[str], str]:
    """``mask`` with the secrets as they are now, for many texts: collecting the secrets is most of its cost."""
    return _of_all(tuple(map(call, _sources))).masked


def mask_all(value: Any, mask: Callable[[str], str] | None = None) -> Any:
    """Apply ``mask`` (by default the one above) to every text in a JSON value, including the keys of its objects."""
    return _masked(value, mask or masker())


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask(key) if isinstance(key, str) else key: _masked(part, mask) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part, mask) for part in value]
    return value


@functools.lru_cache(maxsize=2)
def _of_all(found: tuple[Named, ...]) -> Finder:
    return Finder(sorted(pair for named in found for pair in named))


class _Environment:
    """The environment's secrets, read again only when it has changed: this runs for each line of the log."""

    def __init__(self) -> None:
        self._known: tuple[Mapping[Any, Any], Named] = {}, frozenset()

    def secrets(self) -> Named:
        variables: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)  # compared as it is: 1 µs, not 10
        seen, found = self._known
        if variables != seen:
            seen, found = dict(variables), _named_in_environment()
            self._known = seen, found  # in one step, whatever other threads do
        return found


def _named_in_environment() -> Named:
    names = {name for name in os.environ if name.startswith(PREFIX)}
    return frozenset(
        (_present_name(name, names), value) for name, value in os.environ.items() if name.startswith((PREFIX, FORMER))
    )


def _present_name(name: str, present: set[str]) -> str:
    """The name for a former value: the variable's, without its number."""
    if not name.startswith(FORMER):
        return name
    bare = name.removeprefix("FORMER_")
    return bare if bare in present else re.sub(r"_\d{1,2}$", "", bare)


class _Settings:
    """The platform's own credentials. They change only in a test, which then calls ``forget``."""

    def __init__(self) -> None:
        self._known: Named | None = None

    def secrets(self) -> Named:
        if self._known is None and settings.configured:
            self._known = _named_in_settings()
        return self._known or frozenset()

    def forget(self, **_: Any) -> None:
        self._known = None


def _named_in_settings() -> Named:
    plain = (settings.SECRET_KEY, str(settings.DATABASES["default"].get("PASSWORD") or ""), conf.oidc_client_secret)
    of_brokers = [urllib.parse.urlsplit(url).password or "" for url in str(settings.CELERY_BROKER_URL).split(";")]
    values = {*plain, *of_brokers, *map(urllib.parse.unquote, of_brokers)}
    return frozenset((HIDDEN, value) for value in values if len(value) >= DERIVED_LENGTH)


_settings: Final = _Settings()
setting_changed.connect(_settings.forget)
register(_Environment().secrets)
register(_settings.secrets)


def storable(text: str) -> str:
    """Text that every database can store; a device may send anything."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
