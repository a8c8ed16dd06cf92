"""Output: a state's colour, and JSON as the API writes it."""

import json
from typing import IO, Any, Final

from rich.text import Text

from cnaasjobs.api.envelope import json_bytes
from cnaasjobs.plain_text import clean
from jobs.end_reasons import EndReason
from jobs.states import Status

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


def status_text(status: str, exception_type: str | None, *, note: str = "") -> Text:
    aborted = EndReason.of(exception_type) is EndReason.JOB_ABORTED
    text = Text(status, style="yellow" if aborted else STYLES[status])
    said = exception_type or note
    return text.append(f" {clean(said)}", style="dim") if said else text


def write_json(stream: IO[str], value: Any) -> None:
    """Write JSON as the API does, on one line. Characters that the output's encoding lacks are escaped."""
    text = json_bytes(value).decode()
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), separators=(",", ":"))
    stream.write(f"{text}\n")
