"""What is written to a person's terminal: colours only there."""

import re
from typing import IO, Final, cast

from rich.console import Console

WIDE: Final = 10_000  # columns where there is no terminal: each row of a table is one line, for grep
_PADDING: Final = re.compile(r" +(?=\n)")


def console_on(stream: IO[str]) -> Console:
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    file = stream if is_terminal else cast(IO[str], _Unpadded(stream))
    return _Console(file=file, width=None if is_terminal else WIDE, markup=False, highlight=False, emoji=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process with 1; ``command_line`` decides that for all commands."""
        raise


class _Unpadded:
    """Drops the spaces that pad a table's lines to its width. It must be given whole lines."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(_PADDING.sub("", text))

    def flush(self) -> None:
        self._stream.flush()
