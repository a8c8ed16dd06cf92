"""Starts each program for the first time as a copy of one process that has loaded the project, the bulk of a start.

``python -m cnaasjobs.run.loaded ORDER``; ``ORDER`` is JSON: ``{"with_token": true, "programs": {NAME: {"argv": [PYTHON,
"-m", MODULE, …], "log": PATH}}}``. It prints what ``prepare`` prints and, unless that refuses, one more line: the
process number of each program by its name. Then it ends, and its parent, which must be a subreaper, inherits them.

The copied process has no threads and has opened neither database nor broker: a copy of it prepares the database. A
program does the same here as in a new interpreter, in which the supervisor restarts it.
"""

import ctypes
import gc
import json
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import django

from cnaasjobs.conf import WrongSettings
from cnaasjobs.run import ending, exec_child, prepare

REFUSED: Final = 3
# What the programs load before they begin.
_MODULES: Final = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.worker",
    "cnaasjobs.live.application",
    "cnaasjobs.urls",
    "cnaasjobs.web.worker",
    "gunicorn.app.wsgiapp",
    "kombu.transport.redis",
    "uvicorn",
)
_LOOK_SECONDS: Final = 0.005


def main() -> None:
    supervisor, order = os.getppid(), json.loads(sys.argv[1])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
    gc.disable()  # what is loaded stays: searching it for garbage would be in vain
    try:
        django.setup(set_prefix=False)
    except WrongSettings as wrong:
        print(json.dumps({"wrong": str(wrong)}))
        return
    preparing = os.fork()
    if preparing == 0:
        sys.exit(0 if prepare.main(with_token=order["with_token"]) else REFUSED)
    if order["programs"]:
        load()
    _, status = os.waitpid(preparing, 0)
    if (code := os.waitstatus_to_exitcode(status)) != 0:
        sys.exit(0 if code == REFUSED else code)
    gc.freeze()
    begun, loaded = {}, os.getpid()
    for name, program in order["programs"].items():
        begun[name] = os.fork()
        if begun[name] == 0:
            become(program, loaded=loaded, supervisor=supervisor)
            return
    print(json.dumps(begun), flush=True)
    os._exit(0)  # they wait for that


def load() -> None:
    for module in _MODULES:
        import_module(module)


def become(program: Mapping[str, Any], *, loaded: int, supervisor: int) -> None:
    """The program, as it would be in an interpreter of its own."""
    os.setsid()  # Ctrl-C reaches only the supervisor, which ends the others in order
    argv = program["argv"]
    output = os.open(program["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    show(argv)
    while os.getppid() == loaded:
        time.sleep(_LOOK_SECONDS)
    exec_child.begin(parent=supervisor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    sys.argv, sys.orig_argv = argv[2:], argv
    ending.run(lambda: runpy.run_module(argv[2], run_name="__main__", alter_sys=True))


def show(argv: Sequence[str]) -> None:
    """What ``ps`` shows as the command line: the kernel looks where that was when the process began.

    ``ORDER`` was a part of it, so there is room. Where the last byte is not 0, the kernel shows one text up to a 0.
    """
    start, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    room = end - start - 1
    if room > 0:
        ctypes.memmove(start, os.fsencode(" ".join(argv))[: room - 1].ljust(room, b"\0") + b"\1", room + 1)


if __name__ == "__main__":
    main()
