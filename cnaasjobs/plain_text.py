"""Makes text from elsewhere safe to print on a terminal."""

import re
from typing import Any, Final

# Control characters, which a terminal obeys, and those that change the direction in which text is shown.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: Any) -> str:
    """The text on one line, with a replacement character for everything that a terminal would obey."""
    return "" if text is None else _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))


def clean_lines(text: Any) -> str:
    """The same with its own line breaks. Lines after the first are indented, so that none can look like one of ours."""
    first, *more = str(text).splitlines() or [""]
    return "\n".join(
        _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", line).rstrip() for line in (first, *map("    ".__add__, more))
    )
