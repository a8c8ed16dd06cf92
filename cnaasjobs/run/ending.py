"""Ends a program that runs in a forked copy of a process."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def run(program: Callable[[], object]) -> None:
    """Calls it, then ends this process as the interpreter would, except for the last step, which clears every module.

    That step would take more processor time than starting the copy: the modules' memory is shared with other copies,
    and writing to it copies it. An exception ends the program as usual.
    """
    code = 0
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, str):  # the interpreter prints it
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if "django.db" in sys.modules and sys.modules["django.conf"].settings.configured:
        sys.modules["django.db"].connections.close_all()  # SQLite's log of writes goes with the last one
    with suppress(OSError, ValueError):  # the interpreter reports these
        for output in filter(None, (sys.stdout, sys.stderr)):
            output.flush()
        os._exit(code)
    sys.exit(code)
