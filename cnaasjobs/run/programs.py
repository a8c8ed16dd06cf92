"""The command line of each process that ``make run`` keeps running."""

import hashlib
import os
import socket as sockets
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cnaasjobs.run.broker import server_command
from cnaasjobs.run.config import StartError
from cnaasjobs.run.state import StateDirectory
from cnaasjobs.run.supervisor import Program

WORKER_SLOTS = 4
# In addition to the worker's own grace period for running jobs: it then stores how they ended.
WORKER_FAREWELL_SECONDS = 30.0
# Celery's warning to root is meant for production; PYTHONWARNINGS matches the beginning of the message.
ROOT_REMARK = "ignore:You're running the worker with superuser privileges"


def broker(state: StateDirectory, env: Mapping[str, str]) -> Program:
    """Raises StartError if no server is found."""
    try:
        argv = server_command(directory=state.path / "broker", unix_socket=state.socket("broker"))
    except FileNotFoundError as error:
        raise StartError(str(error)) from None
    return Program("broker", argv, state.log("broker"), env, pass_fds=(state.lock,), is_foundation=True)


def front(state: StateDirectory, env: Mapping[str, str], listener: sockets.socket) -> list[Program]:
    """What answers on the one port: the web server, the events process, and the splitter that passes requests on."""
    web, events = (state.socket(name) for name in ("web", "events"))
    number = listener.fileno()
    splitter = ["cnaasjobs.run.splitter", "--fd", str(number), "--web", str(web), "--events", str(events)]
    bound = ["--bind", f"unix:{web}", "--umask", "077", "--proxy-protocol=v1", "--no-control-socket"]
    return [
        _python("web", state, env, "gunicorn", "cnaasjobs.wsgi", *bound),
        _python("events", state, env, "cnaasjobs.live", "--bind", f"unix:{events}", "--proxy-protocol"),
        # After them: what they still answer at the end passes here.
        replace(_python("splitter", state, env, *splitter), pass_fds=(number, state.lock), is_foundation=True),
    ]


def worker(state: StateDirectory, env: Mapping[str, str]) -> Program:
    argv = _celery("worker", "-c", str(WORKER_SLOTS), "-n", f"worker-{_tag(state.path)}@%h")
    if os.geteuid() == 0:
        given = env.get("PYTHONWARNINGS")
        env = {**env, "PYTHONWARNINGS": f"{given},{ROOT_REMARK}" if given else ROOT_REMARK}
    grace = float(env.get("CNAASJOBS_SHUTDOWN_GRACE_SECONDS") or 60) + WORKER_FAREWELL_SECONDS
    return Program("worker", argv, state.log("worker"), env, grace, pass_fds=(state.lock,))


def beat(state: StateDirectory, env: Mapping[str, str]) -> Program:
    return Program("beat", _celery("beat"), state.log("beat"), env, pass_fds=(state.lock,))


def _python(name: str, state: StateDirectory, env: Mapping[str, str], *module: str) -> Program:
    return Program(name, [sys.executable, "-m", *module], state.log(name), env, pass_fds=(state.lock,))


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "cnaasjobs", *arguments]


def _tag(path: Path) -> str:
    """Short and the same at every start: two copies on one broker must not share a worker's name."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
