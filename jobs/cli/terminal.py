"""Output: colours only on a terminal, and no control characters from other people's text."""

import re
from typing import IO, Any, Final

import orjson
from rich.console import Console
from rich.text import Text

from cnaasjobs.api.envelope import LongJSON
from jobs.end_reasons import EndReason
from jobs.states import Status

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDE: Final = 250  # columns where there is no terminal: a table for grep is not cut

STYLES: Final = {
    Status.SCHEDULED.value: "cyan",
    Status.RUNNING.value: "bold blue",
    Status.FINISHED.value: "green",
    Status.EXCEPTION.value: "bold red",
}


def stream_of(command: Any) -> IO[str]:
    """What a command writes to. Django's wrapper adds line ends, which bars do not survive."""
    stream: IO[str] = command.stdout._out
    return stream


def console_on(stream: IO[str]) -> Console:
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return Console(file=stream, width=None if is_terminal else _WIDE, markup=False, highlight=False, emoji=False)


def clean(text: Any) -> str:
    """Text on one line: control sequences that a terminal would obey are shown, not sent."""
    return "" if text is None else _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))


def status_text(status: str, exception_type: str | None, *, note: str = "") -> Text:
    aborted = EndReason.of(exception_type) is EndReason.JOB_ABORTED
    text = Text(status, style="yellow" if aborted else STYLES[status])
    said = exception_type or note
    return text.append(f" {clean(said)}", style="dim") if said else text


def write_json(stream: IO[str], value: Any) -> None:
    """As the API writes it, a line."""
    stream.write(orjson.dumps(value, default=_spliced).decode() + "\n")


def _spliced(value: Any) -> orjson.Fragment:
    if not isinstance(value, LongJSON):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return orjson.Fragment(b"".join(value.pieces))
