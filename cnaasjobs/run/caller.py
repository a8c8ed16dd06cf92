"""Ending the make of ``make run`` ends the platform, even where make does not tell its children.

Ctrl-C at the terminal reaches all of them, and make passes SIGTERM on. It does not pass on a SIGINT or SIGHUP sent to
make alone: it resets its handler, and then waits for its children to end. The reset can be seen from outside.
"""

import contextlib
import signal
import sys
from pathlib import Path
from typing import Final

import psutil

_MAKE: Final = ("make", "gmake")
_ENDS: Final = sum(1 << (number - 1) for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT))


class Callers:
    """The makes above this process."""

    def __init__(self) -> None:
        self._at_start = _makes()

    def want_the_end(self) -> bool:
        """Whether one of them is gone, or no longer handles a signal that it handled."""
        now = _makes()
        return any(pid not in now or handled & ~now[pid] for pid, handled in self._at_start.items())


def _makes() -> dict[int, int]:
    """By process number: which of the signals to end each make handles."""
    found = {}
    for process in psutil.Process().parents():
        with contextlib.suppress(psutil.NoSuchProcess):  # such as a shell that started us in the background
            if process.name() not in _MAKE:
                break
            found[process.pid] = _handled(process.pid)
    return found


def _handled(pid: int) -> int:
    """A bit for each signal; none where the system does not show them."""
    if sys.platform != "linux":
        return 0
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it is gone
        return 0
    return _ENDS & next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
