"""JSON for people to read."""

import json
from collections.abc import Iterable
from typing import Any, Final

# Each level indents every line below it by two more columns, and Python parses some thousand levels up to 3.11, and ten
# times as many from 3.12 on: that would turn 18 KB into 160 MB.
_DEEPEST: Final = 100


def indented_text(stored: str) -> str:
    """A JSON text, indented; a string without its quotes. It is returned unchanged if it is too deep for that."""
    try:
        value = json.loads(stored)
    except RecursionError:
        return stored
    return value if isinstance(value, str) else indented(value, otherwise=stored)


def indented(value: Any, *, otherwise: str) -> str:
    """The value as indented JSON; ``otherwise`` if it is too deep for that."""
    if _is_deep(value):
        return otherwise
    return json.dumps(value, indent=2, ensure_ascii=False)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
