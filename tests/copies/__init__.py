"""The processes of a parallel run begin as copies of one that has imported the tests: most of a start is that.

Else each of them would rewrite the assertions of hundreds of modules, all at the same moment. pytest-xdist starts a
process by a command and talks to it through pipes; ``client`` is that command here. The process that copies itself is a
copy of pytest's own one, made before that begins any thread. What the settings say of one process alone, such as its
state directory, each copy reads again.
"""

import atexit
import ctypes
import gc
import os
import shlex
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.utils.log import configure_logging

from tests.services import preloading
from tests.services.preloading.server.__main__ import (
    NUMBER,
    PR_SET_PDEATHSIG,
    forget_connections,
    forget_settings,
    serve,
)

CLIENT = Path(__file__).with_name("client.py")
_OF_A_PROCESS = {"CNAASJOBS_STATE_DIR", "CELERY_BROKER_URL", "DATABASES"}  # of these each has its own
_read: dict[str, Any] = {}  # the settings that were read when this process was copied


def begin(config: pytest.Config) -> str:
    """The command with which pytest-xdist is to start a process."""
    address = os.environ["CNAASJOBS_STATE_DIR"] + "/copies"  # where nobody else may write
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(address)
    config.add_cleanup(preloading.share())
    us = os.getpid()
    with control:
        if (pid := os.fork()) == 0:
            _be_copied(config, control, us)
    config.add_cleanup(lambda: _end(pid))
    return shlex.join([sys.executable, "-I", "-S", str(CLIENT), address])


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def _be_copied(config: pytest.Config, control: socket.socket, parent: int) -> None:
    """Never returns, in the copies neither."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_with(parent, signal.SIGTERM)
        gc.disable()
        vars(settings).pop("DATABASES", None)  # which pytest-django read, and keeps nothing of
        _import_tests(config)
        kept = _OF_A_PROCESS & vars(settings).keys()
        assert not kept, f"a module read {kept} while it was imported"
        # What pytest did in this process as its own, and does again in each copy: Django's log goes where pytest had
        # standard error go for a while, and its database can't be used.
        configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
        config.pluginmanager.get_plugin("django").pytest_unconfigure(config)  # type: ignore[union-attr]
        gc.freeze()
        us = os.getpid()
        if asked := serve(control):
            _end_with(us, signal.SIGKILL)
            _become(*asked)
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:  # noqa: BLE001  (it must not get to pytest, which would go on from here a second time)
        traceback.print_exc()
    finally:
        try:  # as an interpreter ends
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
        finally:
            os._exit(code)


def look_at_settings() -> None:
    """No setting that a module may have kept while it was imported is another one in this copy."""
    if not _read:
        return
    assert current_app.conf.broker_url == settings.CELERY_BROKER_URL  # Celery asks Django each time
    changed = {name for name, value in _read.items() if getattr(settings, name) != value} - _OF_A_PROCESS
    assert not changed, f"read before the process was copied: {changed}"


def _end_with(parent: int, number: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("its parent ended before it began")


def _import_tests(config: pytest.Config) -> None:
    """What pytest is asked to collect, by the loader that it has put in place, which rewrites assertions."""
    for path in _modules(config):
        with suppress(BaseException):  # whatever it is, who collects the module meets it again
            import_module(".".join(path.relative_to(config.rootpath).with_suffix("").parts))


def _modules(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        place = config.invocation_params.dir / argument.partition("::")[0]
        if place.is_relative_to(config.rootpath):
            for pattern in ("conftest.py", *config.getini("python_files")):
                yield from place.rglob(pattern)
            if place.suffix == ".py":
                yield place


def _become(request: dict[str, Any], status: int, pipes: list[int]) -> None:
    """The interpreter that pytest-xdist asked for, but for what it has imported."""
    os.write(status, NUMBER.pack(os.getpid()))
    os.close(status)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(pipes):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    forget_connections()
    _read.update(forget_settings())
    gc.enable()
    sys.argv = ["-c"]
    sys.modules["__main__"] = main = ModuleType("__main__")
    exec(request["line"], vars(main))
