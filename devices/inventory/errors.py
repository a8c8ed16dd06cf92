"""What is wrong with an inventory. The text quotes nothing but names of files, hosts and groups."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cnaasjobs.secrecy import MIN_LENGTH, Secrets, mask, storable

_LENGTH = 300
_SECRET_NAME = re.compile(r"token|secret|passw|pwd|key|cred|auth|cookie", re.IGNORECASE)
_USER_IN_URL = re.compile(r"//[^/\s@]*@")


class InventoryError(Exception):
    """The inventory can't be read; the text says why, without showing its content."""


def in_words(exc: BaseException, options: Mapping[str, Any]) -> str:
    """What a third-party plugin raised.

    Its text may contain what the plugin was given, or read from the environment.
    """
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001  (the author's __str__ can raise anything)
        text = ""
    secrets = Secrets({**_secret_values(options), **_secret_values(os.environ)})
    shown = " ".join(_USER_IN_URL.sub("//…@", storable(secrets.mask(mask(text)))).split())
    return f"{type(exc).__name__}: {shown}"[:_LENGTH] if shown else type(exc).__name__


def _secret_values(options: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _leaves(options, ""):
        if _SECRET_NAME.search(name) and len(value) >= MIN_LENGTH:
            found.setdefault(name, value)
    return found


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, name)
    elif value is not None:
        yield name, str(value)
