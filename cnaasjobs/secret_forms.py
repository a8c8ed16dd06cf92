"""The forms in which a secret may occur in a text, and how they are found."""

import base64
import html
import json
import re
import urllib.parse
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import ahocorasick
from jinja2.utils import htmlsafe_json_dumps

DERIVED_LENGTH: Final = 6  # shorter lines, encodings and case changes of a value occur in too much innocent text
_NESTED: Final = 2
_BACKSLASHES: Final = re.compile(r"\\{2,}")


class Finder:
    """Finds secrets in one pass over a text, however many there are.

    Of two that begin at the same place the longer one is taken: a short secret never cuts a long one, and an inserted
    name is never searched again.

    A message that quotes a message that quotes a message doubles the backslashes each time. So a run of them counts as
    one, in the text and in the secret, at any depth.
    """

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        """Pairs: what replaces a secret, and the secret."""
        self._automaton = ahocorasick.Automaton()
        for name, value in named:
            for form in forms(value):
                short = _BACKSLASHES.sub(r"\\", form)
                if short and short not in self._automaton:
                    self._automaton.add_word(short, (len(short), name))
        self._is_empty = len(self._automaton) == 0
        self._automaton.make_automaton()

    def masked(self, text: str) -> str:
        if self._is_empty:
            return text
        runs = _Runs(text) if "\\\\" in text else None
        parts: list[str] = []
        done = 0
        for last, (length, name) in self._automaton.iter_long(runs.short if runs else text):
            begin, end = last - length + 1, last + 1
            if runs:
                begin, end = runs.original(begin), runs.original(end)
            parts += [text[done:begin], name]
            done = end
        return "".join([*parts, text[done:]]) if parts else text


class _Runs:
    """A text in which each run of backslashes is one, and where its characters were before."""

    def __init__(self, text: str) -> None:
        self.short = _BACKSLASHES.sub(r"\\", text)
        self._ends: list[int] = []  # after each run, in the short text
        self._left_out: list[int] = []  # backslashes, up to there
        total = 0
        for run in _BACKSLASHES.finditer(text):
            total += run.end() - run.start() - 1
            self._ends.append(run.end() - total)
            self._left_out.append(total)

    def original(self, place: int) -> int:
        before = bisect_right(self._ends, place)
        return place + (self._left_out[before - 1] if before else 0)


def forms(value: str) -> Iterator[str]:
    """The forms in which a value may appear in configurations, diffs, URLs, XML, JSON and messages of exceptions."""
    if not value.strip():
        return
    parts = {value, value.strip()}
    parts.update(line for line in map(str.strip, value.splitlines()) if len(line) >= DERIVED_LENGTH)
    for part in parts:
        for written in _written(part):
            yield from _escaped(written)
        yield urllib.parse.quote(part)
        yield urllib.parse.quote(part, safe="")
        yield urllib.parse.quote_plus(part)
    if len(value) >= DERIVED_LENGTH:
        raw = value.encode("utf-8", "surrogateescape")
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
        yield raw.hex()


def _written(part: str) -> set[str]:
    """A text as it is, in capitals, and as HTML and XML write it. Jinja's filters escape a few differently."""
    in_html = html.escape(part)
    of_jinja = in_html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    found = {part, in_html, of_jinja, html.escape(part, quote=False), htmlsafe_json_dumps(part)[1:-1]}
    return found | {part.upper(), part.lower()} if len(part) >= DERIVED_LENGTH else found


def _escaped(text: str) -> set[str]:
    """A text as it is, and as Python and JSON quote it, twice: one message may quote another."""
    found = newest = {text}
    for _ in range(_NESTED):
        newest = {form for inner in newest for escape in (_as_python, _as_json) for form in escape(inner)} - found
        found = found | newest
    return found


def _as_python(text: str) -> Iterator[str]:
    """Python's ways to quote it: which quotation marks it escapes depends on the rest of the text."""
    raw = text.encode("utf-8", "surrogateescape")
    yield repr("\"'" + text)[4:-1]
    yield ascii("\"'" + text)[4:-1]
    yield repr(b"\"'" + raw)[5:-1]
    if '"' not in text:
        yield repr("'" + text)[2:-1]
        yield ascii("'" + text)[2:-1]
        yield repr(b"'" + raw)[3:-1]


def _as_json(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.replace("\\", "\\\\").replace('"', '\\"')
