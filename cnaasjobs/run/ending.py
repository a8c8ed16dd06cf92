"""How a program ends that runs in a copy of a process."""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def run(program: Callable[[], object]) -> None:
    """Calls it, then ends this process as the interpreter does, but for its last step, which takes each module apart.

    That would need more processor time than the start of a copy: the memory of its modules is shared with others, and
    is copied where it is written to. What a program raises ends it as ever.
    """
    code = 0
    try:
        program()
    except SystemExit as end:
        if isinstance(end.code, str):  # the interpreter writes it
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if "django.db" in sys.modules and sys.modules["django.conf"].settings.configured:
        sys.modules["django.db"].connections.close_all()  # SQLite's log of writes goes with the last one
    with suppress(OSError, ValueError):  # of these the interpreter tells
        for output in filter(None, (sys.stdout, sys.stderr)):
            output.flush()
        os._exit(code)
    sys.exit(code)
