"""The process that imports the packages, then becomes what it is asked for in copies of itself.

Started by path, with the number of a socket: nothing of the project is imported here. Each request names a program with
its environment and brings two descriptors, for its output and for its number and its end.
"""

import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

# What workers, Beat, web servers and the events process import, as far as it can be imported without settings.
PACKAGES = [
    "ahocorasick",
    "asyncio",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.beat",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.worker",
    "concurrent.futures",
    "corsheaders",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.x509",
    "django.contrib.admin",
    "django.contrib.staticfiles.finders",
    "django.core.management",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.psycopg_any",
    "django.db.models",
    "django.forms",
    "django.http",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.signals",
    "django.views.generic",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "jinja2.sandbox",
    "jsonschema",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "limits",
    "napalm",
    "nornir.core",
    "psutil",
    "psycopg2.extras",
    "pydantic",
    "requests",
    "ruamel.yaml",
    "socketio",
    "uvicorn",
    "whitenoise.base",
    "yaml",
]
PR_SET_PDEATHSIG = 1
NUMBER = struct.Struct("i")


def main() -> None:
    import ctypes

    control = socket.socket(fileno=int(sys.argv[1]))
    for name in PACKAGES:
        import_module(name)
    from django.conf import settings

    assert not settings.configured, "a package read settings that are not the copies'"
    gc.freeze()
    server = os.getpid()
    asked = serve(control)
    if asked is not None:
        request, output, status = asked
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != server:
            sys.exit("its parent ended before it began")
        os.write(status, NUMBER.pack(os.getpid()))
        os.close(status)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        run(**request)


def serve(control: socket.socket) -> tuple[dict[str, Any], int, int] | None:
    """Returns what is asked for in each copy, and None in the server at its end."""
    copies: dict[int, int] = {}
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in readable:
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            report_the_ended(copies)
        if control.fileno() in readable:
            message, fds, _, _ = socket.recv_fds(control, 1 << 20, 2)
            if not message:
                return None
            output, status = fds
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for fd in (wake, woken, *copies.values()):
                    os.close(fd)
                return json.loads(message), output, status
            copies[pid] = status
            os.close(output)


def report_the_ended(copies: dict[int, int]) -> None:
    while copies:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = copies.pop(pid)
        with suppress(BrokenPipeError):  # nobody cares any more
            os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(code)))
        os.close(status)


def run(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """As ``python argv…`` there, with that environment."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    unbuffered = bool(env.get("PYTHONUNBUFFERED"))
    sys.stdout.reconfigure(line_buffering=False, write_through=unbuffered)  # type: ignore[union-attr]
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[0:1] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = argv[1:] if argv[0] == "-m" else argv
    sys.orig_argv = [sys.executable, *argv]
    if argv[0] == "-m":
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
