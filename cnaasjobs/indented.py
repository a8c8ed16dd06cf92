"""JSON for people to read."""

import json
from collections.abc import Iterable
from typing import Any, Final

# Each level is two more columns in every line of what it holds. And how deep a text may be that can still be read is
# Python's: some thousand levels until 3.11, ten times that from 3.12 on, which makes 160 MB of 18 KB.
_DEEPEST: Final = 100


def indented_text(stored: str) -> str:
    """What a JSON text says, indented; a string without its quotes. As it is where it is too deep for that."""
    try:
        value = json.loads(stored)
    except RecursionError:
        return stored
    return value if isinstance(value, str) else indented(value, otherwise=stored)


def indented(value: Any, *, otherwise: str) -> str:
    """As JSON, indented; ``otherwise`` where it is too deep for that."""
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
