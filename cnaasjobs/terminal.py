"""Output for a person at the shell. It is coloured only if it goes to a terminal."""

import re
from typing import IO, Final, cast

from rich.console import Console

WIDE: Final = 10_000  # columns if it goes elsewhere: each row of a table is one line, for grep
_PADDING: Final = re.compile(r" +(?=\n)")


def console_on(stream: IO[str]) -> Console:
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    file = stream if is_terminal else cast(IO[str], _Unpadded(stream))
    return _Console(file=file, width=None if is_terminal else WIDE, markup=False, highlight=False, emoji=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would exit with 1; ``command_line`` decides the exit code for all commands."""
        raise


class _Unpadded:
    """Drops the spaces that pad a table's lines to its width. It must be passed whole lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(_PADDING.sub("", text))

    def flush(self) -> None:
        self._stream.flush()
