"""The process that imports the packages, then becomes what it is asked for in copies of itself.

Started by path, with the number of a socket: nothing of the project is imported here. Each request names a program with
its environment and brings three descriptors: for its number and its end, and its two outputs. One that names no program
makes a copy that takes requests itself, from the socket that it gets in place of outputs; with an environment, it loads
the project before.
"""

import gc
import io
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
from pathlib import Path
from typing import Any

# What workers, Beat, web servers and the events process import, as far as it can be imported without settings.
PACKAGES = [
    "ahocorasick",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.contrib.django.task",
    "celery.events",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "celery.worker.worker",
    "corsheaders",
    "cryptography.hazmat.primitives.asymmetric.rsa",
    "cryptography.x509",
    "django.contrib.admin",
    "django.contrib.staticfiles.finders",
    "django.core.management",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.psycopg_any",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.signals",
    "django.views.csrf",
    "django.views.generic",
    "gunicorn.app.wsgiapp",
    "gunicorn.glogging",
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
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.wsproto_impl",
    "whitenoise.base",
    "yaml",
]
# What the project's processes load, besides its apps, their tasks and what CELERY_IMPORTS names.
OF_THE_PROJECT = [
    "cnaasjobs.celery",
    "cnaasjobs.identity.sessions",
    "cnaasjobs.live.application",
    "cnaasjobs.live.server",
    "cnaasjobs.startup",
    "cnaasjobs.urls",
    "cnaasjobs.web.worker",
    "django_celery_beat.schedulers",
    "jobs.beat.scheduler",
    "jobs.broker.plain_results",
    "jobs.worker.connections",
    "jobs.worker.consumer",
    "jobs.worker.remote_control",
    "jobs.worker.supervision",
    "jobs.worker.unacknowledged",
    "jobs.worker.unreadable",
    "jobs.worker.window",
]
PATH = sys.path[1:]  # without the directory of this file
# By path: a package of the project would stay imported.
run_to_its_end = runpy.run_path(str(Path(__file__).parents[4] / "cnaasjobs" / "run" / "ending.py"))["run"]
PR_SET_PDEATHSIG = 1
NUMBER = struct.Struct("i")


def main() -> None:
    import ctypes

    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks for copies ends them, and then this process
    gc.disable()  # what is imported stays: each search for garbage would look through it
    for name in PACKAGES:
        import_module(name)
    from django.conf import settings

    assert not settings.configured, "a package read settings that are not the copies'"
    gc.freeze()
    begin = run
    while True:
        server = os.getpid()
        asked = serve(control)
        if asked is None:
            return
        request, status, given = asked
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != server:
            sys.exit("its parent ended before it began")
        os.write(status, NUMBER.pack(os.getpid()))
        os.close(status)
        if request["argv"]:
            gc.enable()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number, fd in enumerate(given, start=1):
                os.dup2(fd, number)
                os.close(fd)
            begin(**request)
            return
        control = socket.socket(fileno=given[0])
        if "env" in request:
            begin = run_loaded if load(request["env"], request["cwd"]) else run_anew
            gc.freeze()


def serve(control: socket.socket) -> tuple[dict[str, Any], int, list[int]] | None:
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
            message, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                return None
            status, *given = fds
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for fd in (wake, woken, *copies.values()):
                    os.close(fd)
                return json.loads(message), status, given
            copies[pid] = status
            for fd in given:
                os.close(fd)


def report_the_ended(copies: dict[int, int]) -> None:
    while copies:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        status = copies.pop(pid)
        with suppress(BrokenPipeError):  # nobody cares any more
            os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(code)))
        os.close(status)


def live_in(env: dict[str, str], cwd: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *PATH]


def load(env: dict[str, str], cwd: str) -> bool:
    """All that the project imports when it starts. Logs are not set up, and neither is Celery. False: it can't."""
    live_in(env, cwd)
    try:
        load_the_project()
    except (Exception, SystemExit):  # noqa: BLE001  (its settings are wrong, for one: who begins anew says so)
        return False
    return True


def load_the_project() -> None:
    from django.apps import apps
    from django.conf import settings
    from django.utils.module_loading import autodiscover_modules

    apps.populate(settings.INSTALLED_APPS)
    autodiscover_modules("tasks")
    middleware = [name.rpartition(".")[0] for name in settings.MIDDLEWARE]
    for name in (*OF_THE_PROJECT, *middleware, *getattr(settings, "CELERY_IMPORTS", ())):
        import_module(name)
    from celery import current_app

    assert not current_app.configured, "a module read Celery's settings, which are not the copies'"


def run_loaded(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """As ``run``; in a new interpreter where a setting or a module would have differed while the project was loaded."""
    live_in(env, cwd)
    if settings_are_as_loaded() and modules_are_as_loaded(env, cwd):
        run(argv, env, cwd)
    else:
        run_anew(argv, env, cwd)


def run_anew(argv: list[str], env: dict[str, str], cwd: str) -> None:
    os.chdir(cwd)
    os.execve(sys.executable, [sys.executable, *argv], env)


def modules_are_as_loaded(env: dict[str, str], cwd: str) -> bool:
    """No module on PYTHONPATH has the name of one that was loaded from elsewhere."""
    places = {*filter(None, env.get("PYTHONPATH", "").split(os.pathsep))} - {cwd}
    found = {path.name.partition(".")[0] for place in places for path in Path(place).glob("*")}
    return not found or found.isdisjoint(name.partition(".")[0] for name in sys.modules)


def settings_are_as_loaded() -> bool:
    """Looks at them as they are now, then forgets them: the program reads them itself."""
    from django.conf import settings

    forget_connections()
    loaded = forget_settings()
    engine = loaded.pop("DATABASES")["default"]["ENGINE"]
    try:
        same = all(getattr(settings, name) == value for name, value in loaded.items())
        return same and settings.DATABASES["default"]["ENGINE"] == engine
    except (Exception, SystemExit):  # noqa: BLE001  (whatever is wrong with them, the new interpreter says it)
        return False
    finally:
        forget_settings()


def forget_connections() -> None:
    from django.db import connections

    for alias in connections:
        with suppress(AttributeError):  # none was made
            del connections[alias]
    vars(connections).pop("settings")
    vars(connections)["_settings"] = None  # where Django keeps them a second time


def forget_settings() -> dict[str, Any]:
    """Those that were read: Django keeps each that somebody asked for."""
    from django.conf import settings
    from django.utils.functional import empty

    found = {name: value for name, value in vars(settings).items() if name != "_wrapped"}
    vars(settings).clear()
    settings._wrapped = empty
    for name in ("cnaasjobs.settings", os.environ["DJANGO_SETTINGS_MODULE"]):
        sys.modules.pop(name, None)
    return found


def run(argv: list[str], env: dict[str, str], cwd: str) -> None:
    """As ``python argv…`` there, with that environment."""
    live_in(env, cwd)
    # A new one, since what lies below it buffers too, or not, by the environment in which this process began.
    unbuffered = bool(env.get("PYTHONUNBUFFERED"))
    below = open(1, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115  (until the program ends)
    sys.stdout = io.TextIOWrapper(
        below, encoding=sys.stdout.encoding, errors=sys.stdout.errors, write_through=unbuffered
    )
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = argv[1:] if argv[0] == "-m" else argv
    sys.orig_argv = [sys.executable, *argv]
    if argv[0] == "-m":
        run_to_its_end(lambda: runpy.run_module(argv[1], run_name="__main__", alter_sys=True))
    else:
        run_to_its_end(lambda: runpy.run_path(argv[0], run_name="__main__"))


if __name__ == "__main__":
    main()
