"""What is written to a person's terminal: colours only there, and no control characters from other people's text."""

import re
from typing import IO, Any, Final

from rich.console import Console

WIDE: Final = 250  # columns where there is no terminal: a table for grep is not cut
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console_on(stream: IO[str]) -> Console:
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return Console(file=stream, width=None if is_terminal else WIDE, markup=False, highlight=False, emoji=False)


def clean(text: Any) -> str:
    """Text on one line: control sequences that a terminal would obey are shown, not sent."""
    return "" if text is None else _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))
