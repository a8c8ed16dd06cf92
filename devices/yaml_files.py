"""YAML files as Nornir reads them (1.2, by ruamel.yaml), with faults said by file and line and nothing quoted.

Credentials are taken as they are written: YAML makes the number 123 of the password 0123, and 100000.0 of 1e5.
"""

import re
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

CREDENTIALS: Final = frozenset({"username", "password", "secret"})
_NOT_TEXT: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))
_TEXT: Final = "tag:yaml.org,2002:str"
# In a parser's words: a punctuation mark that it expected, or its name for what it found. The rest may be secret.
_HARMLESS: Final = re.compile(r"'(?:[][,:?{}-]|<[a-z ]+>)'")
_QUOTE: Final = re.compile(r"[\"'`]")


class Unreadable(Exception):
    """A file that can't be read, in words that quote nothing of it."""


def named(name: object, *, length: int = 100) -> str:
    """A name out of a file as it may stand in a message."""
    plain = isinstance(name, str) and name.isprintable() and name.strip()
    return (str(name) if plain else repr(name))[:length]


def read(path: Path, *, encoding: str = "utf-8") -> Any:
    """What stands in a file; None if it is empty.

    Raises:
        FileNotFoundError: it may be allowed to be missing.
        Unreadable: why, in words that begin with its path.
    """
    return parsed(_text(path, encoding), path)


def parsed(text: str, path: Path) -> Any:
    """What a file's text says. Raises Unreadable."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        return yaml.load(text.removeprefix("\ufeff"))
    except _BadEntry as bad:
        raise Unreadable(f"{path}: the entry {named(bad.name)}{_fault(bad.fault)}") from bad
    except (YAMLError, RecursionError) as exc:
        raise Unreadable(f"{path}{_fault(exc)}") from exc


def _text(path: Path, encoding: str) -> str:
    try:
        return path.read_text(encoding=encoding)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise Unreadable(f"{path} can't be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise Unreadable(f"{path} is not {encoding} (at byte {exc.start})") from exc
    except LookupError as exc:
        raise Unreadable(f"{path}: {encoding} is no encoding that Python knows") from exc


class _BadEntry(Exception):
    """An entry of a file's outermost mapping that can't be made a value."""

    def __init__(self, name: object, fault: Exception) -> None:
        super().__init__(name)
        self.name = name
        self.fault = fault


class _Constructor(SafeConstructor):
    def construct_document(self, node: Node) -> Any:
        _as_written(node, set())
        try:
            return super().construct_document(node)
        except MarkedYAMLError:
            raise  # it knows its line
        except Exception as exc:
            raise self._blamed(node, exc) from exc

    def _blamed(self, node: Node, exc: Exception) -> Exception:
        """The entry that can't be constructed; ``exc`` itself says no place."""
        for key, value in node.value if isinstance(node, MappingNode) else ():
            self.constructed_objects, self.recursive_objects, self.state_generators = {}, {}, []
            try:
                super().construct_document(value)
            except Exception as found:  # noqa: BLE001  (the same as before, or one of its kind)
                return _BadEntry(key.value, found)
        return exc if isinstance(exc, RecursionError) else YAMLError()


def _as_written(node: Node, seen: set[int]) -> None:
    """Make text of credentials that are numbers, dates or booleans to YAML; none at all stays none."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for inner in node.value:
            _as_written(inner, seen)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == "data":
                continue
            if key.value in CREDENTIALS and isinstance(value, ScalarNode) and value.tag in _NOT_TEXT:
                value.tag = _TEXT
            _as_written(value, seen)


def _fault(exc: BaseException) -> str:
    if isinstance(exc, RecursionError):
        return " is nested too deeply"
    if isinstance(exc, MarkedYAMLError) and exc.problem_mark is not None:
        problem = str(exc.problem)
        if _QUOTE.search(_HARMLESS.sub("", problem)):
            problem = _QUOTE.split(problem)[0].strip(" :,(")
        return f", line {exc.problem_mark.line + 1}: {problem}"
    if isinstance(exc, YAMLError):
        return " holds a character that YAML does not allow"
    return " holds a value that is not of the type it looks like, such as a date that does not exist (quote it)"
