"""The ledger of job bodies: append-only files outside the database, one for each process that ran a body.

A line is written by one ``write`` on a file opened with O_APPEND, and before what it announces: after a SIGKILL at any
moment the ledger says at least what had begun. Only the last line of a file may be torn.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

VARIABLE = "CNAASJOBS_CHAOS_LEDGER"  # the directory, for the processes of the fleet


class Event(StrEnum):
    BEGIN = "begin"  # a body starts
    JOIN = "join"  # a body starts in a process that helps others with its devices
    CHECK = "check"  # a device operation is about to ask whether it may; its start
    GO = "go"  # it may
    DONE = "done"  # the operation is over
    END = "end"  # the body is over


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line. ``wall`` and ``mono`` are this machine's clocks, in seconds."""

    event: Event
    job: int
    attempt: int
    token: str
    kind: str
    pid: int
    parent: int
    thread: int
    wall: float
    mono: float
    lock: str | None = None
    fence: int | None = None
    device: str = ""
    operation: str = ""
    how: str = ""  # of END: "returned", or the name of what was raised


class Writer:
    """Appends to this process's own file. Usable from any thread, and after a fork."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file: tuple[int, int] | None = None  # pid, descriptor
        self._mutex = threading.Lock()

    def write(self, event: Event, **fields: Any) -> None:
        line = Line(
            event=event,
            pid=os.getpid(),
            parent=os.getppid(),
            thread=threading.get_native_id(),
            wall=time.time(),
            mono=time.monotonic(),
            **fields,
        )
        text = json.dumps({name: value for name, value in vars(line).items() if value not in (None, "")}) + "\n"
        os.write(self._descriptor(), text.encode())

    def _descriptor(self) -> int:
        with self._mutex:
            if self._file is None or self._file[0] != os.getpid():
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._file = os.getpid(), os.open(self.directory / f"{os.getpid()}.jsonl", flags, 0o644)
            return self._file[1]


def read(directory: Path) -> list[Line]:
    """All lines, by time."""
    lines = [line for path in sorted(directory.glob("*.jsonl")) for line in read_file(path)]
    return sorted(lines, key=lambda line: line.wall)


def read_file(path: Path) -> Iterator[Line]:
    """The lines of one process.

    Raises:
        ValueError: a line in the middle of the file cannot be read.
    """
    texts = path.read_text().split("\n")
    for number, text in enumerate(texts):
        if not text:
            continue
        try:
            yield _line(text)
        except ValueError:
            if number == len(texts) - 1:  # no newline after it: torn by SIGKILL
                return
            raise


def _line(text: str) -> Line:
    fields = json.loads(text)
    return Line(**{**fields, "event": Event(fields["event"])})


def running_in(path: Path) -> Line | None:
    """The body that the process with this file runs now, by its BEGIN; None between two bodies.

    Read from the end: this is asked many times a second, of files that grow during the whole run.
    """
    *texts, _torn = path.read_text().split("\n") if path.exists() else [""]
    for line in map(_line, reversed(texts)):
        if line.event in (Event.BEGIN, Event.JOIN):
            return line
        if line.event is Event.END:
            return None
    return None
