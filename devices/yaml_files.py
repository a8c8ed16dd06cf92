"""YAML files as Nornir reads them (1.2, by ruamel.yaml). Errors name file and line, and quote nothing.

Credentials are taken as they are written: YAML would turn the password 0123 into the number 123, and 1e5 into 100000.0.
"""

import re
from pathlib import Path
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from devices import parsed_files

CREDENTIALS: Final = frozenset({"username", "password", "secret"})
_NOT_TEXT: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "timestamp"))
_TEXT: Final = "tag:yaml.org,2002:str"
# From a parser's message: an expected punctuation mark, or the parser's name for what it found. The rest may be secret.
_HARMLESS: Final = re.compile(r"'(?:[][,:?{}-]|<[a-z ]+>)'")
# A single character gives no secret away; a tab could not be seen.
_STRAY: Final = re.compile(r"found character '.{1,10}' that cannot start any token", re.DOTALL)
_QUOTE: Final = re.compile(r"[\"'`]")


class Unreadable(Exception):
    """A file can't be read; the text quotes nothing of it."""


def named(name: object, *, length: int = 100) -> str:
    """A name from a file, in the form for a message."""
    plain = isinstance(name, str) and name.isprintable() and name.strip()
    return (str(name) if plain else repr(name))[:length]


def read(path: Path, *, encoding: str = "utf-8") -> Any:
    """The content of a file; None if it is empty.

    Raises:
        FileNotFoundError: some files may be missing.
        Unreadable: why; the text begins with the path.
    """
    text = _text(path, encoding)
    if (kept := parsed_files.load(path, text)) is not None:
        return kept.content
    content = parsed(text, path)
    parsed_files.keep(path, text, content)
    return content


def parsed(text: str, path: Path) -> Any:
    """Parses the text of a file. Raises Unreadable."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    try:
        content = yaml.load(text.removeprefix("\ufeff"))
        endless = _endless(content) if "&" in text else None  # without an anchor, nothing can contain itself
    except _BadEntry as bad:
        raise Unreadable(f"{path}: the entry {named(bad.name)}{_fault(bad.fault)}") from bad
    except (YAMLError, RecursionError) as exc:
        raise Unreadable(f"{path}{_fault(exc)}") from exc
    if endless is not None:
        raise Unreadable(f"{path}: the entry {named(endless)} contains itself")
    return content


def _endless(content: Any) -> Any:
    """The first entry of the outermost mapping that has itself, or a part that has itself, as a part."""
    done: set[int] = set()
    entries = content.items() if isinstance(content, dict) else ((None, content),)
    return next((name for name, entry in entries if _contains_itself(entry, set(), done)), None)


def _contains_itself(value: Any, above: set[int], done: set[int]) -> bool:
    if not isinstance(value, dict | list) or id(value) in done:
        return False
    if id(value) in above:
        return True
    above.add(id(value))
    parts = value.values() if isinstance(value, dict) else value
    found = any(_contains_itself(part, above, done) for part in parts)
    above.remove(id(value))
    done.add(id(value))
    return found


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
        raise Unreadable(f"{path}: {encoding} is not an encoding that Python knows") from exc


class _BadEntry(Exception):
    """An entry of a file's outermost mapping that can't be turned into a value."""

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
            raise  # it has a line number
        except SoftTimeLimitExceeded:
            raise  # the job's time happened to run out here
        except Exception as exc:
            raise self._blamed(node, exc) from exc

    def _blamed(self, node: Node, exc: Exception) -> Exception:
        """The entry that can't be constructed; ``exc`` itself does not name a place."""
        for key, value in node.value if isinstance(node, MappingNode) else ():
            self.constructed_objects, self.recursive_objects, self.state_generators = {}, {}, []
            try:
                super().construct_document(value)
            except Exception as found:  # noqa: BLE001  (the same as before, or a similar one)
                return _BadEntry(key.value, found)
        return exc if isinstance(exc, RecursionError) else YAMLError()


def _as_written(node: Node, seen: set[int]) -> None:
    """Turn credentials that YAML reads as numbers, dates or booleans back into text; a missing one stays missing."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for inner in node.value:
            _as_written(inner, seen)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else None
            if name == "data":
                continue
            if name in CREDENTIALS and isinstance(value, ScalarNode) and value.tag in _NOT_TEXT:
                value.tag = _TEXT
            _as_written(value, seen)


def _fault(exc: BaseException) -> str:
    if isinstance(exc, RecursionError):
        return " is nested too deeply"
    if isinstance(exc, MarkedYAMLError) and exc.problem_mark is not None:
        problem = _STRAY.sub(
            "a value must not begin with this character (quote it; a tab is no indentation)", str(exc.problem)
        )
        if _QUOTE.search(_HARMLESS.sub("", problem)):
            problem = _QUOTE.split(problem)[0].strip(" :,(")
        return f", line {exc.problem_mark.line + 1}: {problem}"
    if isinstance(exc, YAMLError):
        return " holds a character that YAML does not allow"
    return " holds a value that is not of the type it looks like, such as a date that does not exist (quote it)"
