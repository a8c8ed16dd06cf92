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
_CELERY = ("celery", "-A", "cnaasjobs")


def broker(state: StateDirectory, env: Mapping[str, str]) -> Program:
    """Raises StartError if no server is found."""
    try:
        argv = server_command(directory=state.path / "broker", unix_socket=state.socket("broker"))
    except FileNotFoundError as error:
        raise StartError(str(error)) from None
    return Program("broker", argv, state.log("broker"), env, pass_fds=(state.lock,), is_foundation=True)


def platform(state: StateDirectory, env: Mapping[str, str], listener: sockets.socket) -> tuple[list[Program], Program]:
    """Those that load the project, and the splitter, which passes what comes in at the one port on to two of them."""
    web, events = (str(state.socket(name)) for name in ("web", "events"))
    answers = ["--bind", f"unix:{web}", "--umask", "077", "--proxy-protocol=v1", "--no-control-socket"]
    slots = ["-c", str(WORKER_SLOTS), "-n", f"worker-{_tag(state.path)}@%h"]
    grace = float(env.get("CNAASJOBS_SHUTDOWN_GRACE_SECONDS") or 60) + WORKER_FAREWELL_SECONDS
    number = listener.fileno()
    splitter = ["cnaasjobs.run.splitter", "--fd", str(number), "--web", web, "--events", events]
    return [
        _python("web", state, env, "gunicorn", "cnaasjobs.wsgi", *answers),
        _python("events", state, env, "cnaasjobs.live", "--bind", f"unix:{events}", "--proxy-protocol"),
        replace(_python("worker", state, env, *_CELERY, "worker", *slots), grace_seconds=grace),
        _python("beat", state, env, *_CELERY, "beat"),
        # It ends after them: their last answers pass through it.
    ], replace(_python("splitter", state, env, *splitter), pass_fds=(number, state.lock), is_foundation=True)


def _python(name: str, state: StateDirectory, env: Mapping[str, str], *module: str) -> Program:
    return Program(name, [sys.executable, "-m", *module], state.log(name), env, pass_fds=(state.lock,))


def _tag(path: Path) -> str:
    """Short and the same at every start: two copies on one broker must not share a worker's name."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
