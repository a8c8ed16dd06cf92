"""The log of one job as its page shows it: the last of the lines that were asked for."""

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

from django.http import QueryDict

from jobs.api.log_view import LogLine, lines_of

SHOWN: Final = 200  # lines on the job's page
MOST: Final = 80_000  # characters of all of them
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_NUMBERS: Final = logging.getLevelNamesMapping()


class Line(NamedTuple):
    time: datetime | None
    level: str
    module: str
    device: str | None
    text: str


class Log(NamedTuple):
    level: str
    text: str
    lines: list[Line]
    total: int  # that were asked for
    all_lines: int
    query: str

    @property
    def levels(self) -> tuple[str, ...]:
        return LEVELS


def wanted(job_id: int, query: QueryDict) -> tuple[list[LogLine], int]:
    """The lines of ``?level=`` and above that contain ``?text=``, and how many there are in all."""
    level = _level(query)
    text = query.get("text", "").casefold()
    everything = list(lines_of(job_id))
    found = [
        line
        for line in everything
        if _NUMBERS.get(line.level, logging.CRITICAL) >= _NUMBERS[level]
        and (text in line.text.casefold() or text == (line.device or "").casefold())
    ]
    return found, len(everything)


def lines_for(job_id: int, query: QueryDict) -> Log | None:
    """The part of its log that was asked for; None if it logged nothing."""
    found, all_lines = wanted(job_id, query)
    if not all_lines:
        return None
    level, text, shown = _level(query), query.get("text", ""), deque(found, maxlen=SHOWN)
    return Log(
        level=level,
        text=text,
        lines=[_line(line, longest=MOST // len(shown)) for line in shown],
        total=len(found),
        all_lines=all_lines,
        query=urlencode(
            {name: value for name, value in (("level", level), ("text", text)) if value and value != "DEBUG"}
        ),
    )


def _level(query: QueryDict) -> str:
    level = query.get("level", "").upper()
    return level if level in LEVELS else "DEBUG"


def _line(line: LogLine, *, longest: int) -> Line:
    text = _cut(line.text.removeprefix(f"{line.device}: "), longest)  # the page shows the device's name before it
    try:
        time = datetime.fromisoformat(line.time)
    except ValueError:
        return Line(None, line.level, line.module, line.device, text)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return Line(time, line.level, line.module, line.device, text)


def _cut(text: str, longest: int) -> str:
    """Of a traceback, the end says the most."""
    start = longest // 4
    return text if len(text) <= longest else f"{text[:start]} … {text[start - longest :]}"
