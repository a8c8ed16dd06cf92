"""From what a person types to the terms of a search. Errors are worded for that person."""

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 1000
MAX_TERMS: Final = 20

_TERM: Final = re.compile(r'(?:(?P<name>[A-Za-z_]\w*):)?(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^\s"]+)|)(?=\s|$)')
_PLAIN: Final = re.compile(r'[^\s"]+')
_TIME: Final = re.compile(r"since:[0-9]{4}-[0-9-]+ [0-9]{1,2}:[0-9:.]+")
_BLANK: Final = re.compile(r"\s*")
_EXAMPLES: Final = {"status": "running", "score": ">20", "since": "24h"}  # of those that do not take every text


class SearchError(ValueError):
    """What was typed cannot be understood; the message says why."""


class NoValueError(SearchError):
    def __init__(self, name: str) -> None:
        name = name.lower()
        super().__init__(f"{name}: needs a value, such as {name}:{_EXAMPLES.get(name, 'something')}")


@dataclass(frozen=True)
class Term:
    """One part of a search: ``name:value``, or text without a name."""

    name: str | None
    value: str

    def __str__(self) -> str:
        """The term as a person would type it, quoted where it has to be."""
        is_plain = bool(_PLAIN.fullmatch(self.value)) and (self.name is not None or ":" not in self.value)
        value = self.value if is_plain else '"{}"'.format(self.value.replace('"', '""'))
        return value if self.name is None else f"{self.name}:{value}"


def terms_of(text: str) -> list[Term]:
    """Raises SearchError."""
    if len(text) > MAX_LENGTH:
        raise SearchError(f"a search has at most {MAX_LENGTH} characters")
    if "\x00" in text:
        raise SearchError("a search can't contain a NUL character")
    found: list[Term] = []
    at = _skip(text, 0)
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None or match.end() == at:
            raise SearchError(f"a quotation mark is missing, or is in the middle of a word: {text[at : at + 40]}")
        quoted, plain, name = match["quoted"], match["plain"], match["name"]
        if quoted is None and plain is None:
            raise NoValueError(name)
        if name is None and found and _TIME.fullmatch(parted := f"{found[-1]} {plain}"):
            raise SearchError(f'put a time with a space in quotation marks: since:"{parted.removeprefix("since:")}"')
        found.append(Term(name.lower() if name else None, plain if quoted is None else quoted.replace('""', '"')))
        at = _skip(text, match.end())
    if len(found) > MAX_TERMS:
        raise SearchError(f"a search has at most {MAX_TERMS} terms")
    return found


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
