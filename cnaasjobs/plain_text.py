"""Other people's text, made fit to be shown in a line of a terminal."""

import re
from typing import Any, Final

# Control characters, which a terminal obeys, and those that turn the direction of what follows.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: Any) -> str:
    """Text on one line: what a terminal would obey is shown, not sent."""
    return "" if text is None else _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))
