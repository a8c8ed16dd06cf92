"""How deep arguments may be nested. All code that walks them or writes them again has its own, different limit."""

from typing import Any, Final

MAX_DEPTH: Final = 64
TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels"


def is_too_deep(value: Any) -> bool:
    """Of lists and mappings, as JSON has them."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        nests = [each for each in level if isinstance(each, dict | list | tuple)]
        if not nests:
            return False
        level = [part for each in nests for part in (each.values() if isinstance(each, dict) else each)]
    return True
