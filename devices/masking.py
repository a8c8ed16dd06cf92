"""Secrets of templates: ``TEMPLATE_SECRET_*`` of the environment, and how their values are kept out of what is stored.

Only a device gets the real text. Everything that goes into a result, a message or a log passes ``Secrets.mask``.
"""

import base64
import functools
import html
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping

from jinja2.utils import htmlsafe_json_dumps

PREFIX = "TEMPLATE_SECRET_"
_DERIVED_LENGTH = 6  # shorter lines, encodings and case changes of a value stand in too much innocent text


class Secrets:
    """The variables, and a mask that puts each one's name where its value stands."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._names: dict[str, str] = {}
        for name, value in sorted(variables.items()):
            for form in _forms(value):
                self._names.setdefault(form, name)
        # One pass, the longest form first: a name put in is never searched again, a short secret never cuts a long one.
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    @classmethod
    def from_environment(cls) -> "Secrets":
        found = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
        return _compiled(tuple(sorted(found.items())))

    def mask(self, text: str) -> str:
        """The text as it may be stored: no secret, no NUL, no lone surrogate."""
        if self._pattern is not None:
            text = self._pattern.sub(self._name, text)
        return storable(text)

    def _name(self, match: re.Match[str]) -> str:
        return self._names[match.group()]


@functools.lru_cache(maxsize=1)
def _compiled(variables: tuple[tuple[str, str], ...]) -> Secrets:
    return Secrets(dict(variables))


def storable(text: str) -> str:
    """Text that every database can hold; a device may send anything."""
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _forms(value: str) -> Iterator[str]:
    """How a value may appear in configurations, diffs, URLs, XML, JSON and the messages of exceptions."""
    if not value.strip():
        return
    parts = {value, value.strip()}
    parts.update(line for line in map(str.strip, value.splitlines()) if len(line) >= _DERIVED_LENGTH)
    for part in parts:
        yield part
        yield repr(part)[1:-1]
        yield part.replace("\\", "\\\\").replace('"', '\\"')
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield htmlsafe_json_dumps(part)[1:-1]  # Jinja's filter tojson
        yield html.escape(part)
        yield html.escape(part, quote=False)
        yield html.escape(part).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # Jinja's filter e
        yield urllib.parse.quote(part)
        yield urllib.parse.quote(part, safe="")
        yield urllib.parse.quote_plus(part)
        if len(part) >= _DERIVED_LENGTH:
            yield part.upper()
            yield part.lower()
    if len(value) >= _DERIVED_LENGTH:
        raw = value.encode("utf-8", "surrogateescape")
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        yield raw.hex()
