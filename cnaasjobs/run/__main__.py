"""``make run``: the whole platform on one machine, from an empty directory to the first finished job."""

import contextlib
import json
import os
import secrets
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cnaasjobs.conf import Conf, Start, WrongSettings, from_environment
from cnaasjobs.embedded import broker_socket, secret_key_file
from cnaasjobs.run import programs, screen
from cnaasjobs.run.api import Api
from cnaasjobs.run.broker import answers
from cnaasjobs.run.changed import Code
from cnaasjobs.run.config import ROOT, Config, StartError, child_environment, is_loopback, shown_url
from cnaasjobs.run.first_job import FirstJob
from cnaasjobs.run.state import StateDirectory, secret
from cnaasjobs.run.supervisor import Program, Supervisor

BROKER_SECONDS = 30.0
READY_SECONDS = 60.0
LOOK_SECONDS = 2.0

_output = threading.Lock()


def say(text: str) -> None:
    """Print a message on the terminal. A reader that went away (``| head``) does not end the platform."""
    with _output, contextlib.suppress(OSError):
        print(text, flush=True)


def prepare(
    state: StateDirectory, env: Mapping[str, str], loaded: Sequence[Program], *, with_token: bool
) -> tuple[dict[str, Any], dict[str, int]]:
    """Runs ``cnaasjobs.run.loaded``. Returns its report, and the process numbers of the programs that it has begun.

    Raises StartError with the reason when it failed.
    """
    log = state.log("prepare")
    # Elsewhere we would not inherit them.
    begun = {each.name: {"argv": each.argv, "log": str(each.log)} for each in loaded if sys.platform == "linux"}
    order = json.dumps({"with_token": with_token, "programs": begun})
    with log.open("ab") as errors:
        done = subprocess.run(
            [sys.executable, "-m", "cnaasjobs.run.loaded", order],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is handled by us: migrations must not be interrupted
            pass_fds=(state.lock,),
        )
    if done.returncode != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise StartError(f"Cannot prepare the database: {last} (details: {log})")
    report, *numbers = map(json.loads, done.stdout.splitlines())
    if "wrong" in report:
        raise StartError(report["wrong"])
    if "error" in report:
        raise StartError(f"Cannot prepare the database: {report['error']}")
    return report, numbers[0]


def start(config: Config, supervisor: Supervisor) -> None:
    """Starts everything, and returns when a signal asks for the end. Raises StartError if something prevents that."""
    state = StateDirectory(config.state_dir)
    with config.listen() as listener:
        _start(config, supervisor, state, listener)


def _start(config: Config, supervisor: Supervisor, state: StateDirectory, listener: sockets.socket) -> None:
    url = shown_url(listener)
    secret_key = secret(secret_key_file(state.path), lambda: secrets.token_urlsafe(50))
    env = child_environment(config, secret_key=secret_key, is_exposed=not is_loopback(listener.getsockname()[0]))
    begins_with, settings = checked(env)
    if not config.broker_url:
        broker = programs.broker(state, env)
        supervisor.add(broker)
        socket = broker_socket(state.path)
        if not supervisor.wait_until(lambda: answers(socket), seconds=BROKER_SECONDS):
            if supervisor.stopping.is_set():
                return
            raise StartError(f"The embedded broker does not start (its log: {broker.log})")
    code = Code(begins_with.apps)
    say("Starting; the first start creates the database, which takes a few seconds")
    loaded, splitter = programs.platform(state, env, listener)
    report, begun = prepare(state, env, loaded, with_token=bool(settings[Conf.require_token.name]))
    for program in loaded:
        supervisor.add(program, begun.get(program.name))
    if supervisor.stopping.is_set():
        return
    supervisor.add(splitter)
    api = Api(url, report["token"])
    say("\n" + screen.addresses(config, url, report))
    is_ready = supervisor.wait_until(_readiness(api, supervisor.stopping).is_set, seconds=READY_SECONDS)
    if not supervisor.stopping.is_set():
        missing = f"Not everything is ready yet: {url}/readyz and the logs say what is missing"
        say("\nReady. Ctrl-C stops everything." if is_ready else missing)
        if report["is_first_start"]:
            first = FirstJob(api, own_inventory=config.nornir_config, say=say, stopping=supervisor.stopping)
            work = first.run if settings[Conf.first_run.name] else first.tell_what_to_try
            threading.Thread(target=work, daemon=True).start()
        threading.Thread(target=_tell_of_a_change, args=(code, supervisor.stopping), daemon=True).start()
    supervisor.run()
    say("Stopping; Ctrl-C again stops everything at once")


def _readiness(api: Api, stopping: threading.Event) -> threading.Event:
    """Set as soon as all is ready. A thread asks, so that nobody else waits for the web server to answer."""
    ready, deadline = threading.Event(), time.monotonic() + READY_SECONDS

    def ask() -> None:
        while not (ready.is_set() or stopping.wait(0.05) or time.monotonic() > deadline):
            if api.call("GET", "/readyz").ok:
                ready.set()

    threading.Thread(target=ask, daemon=True).start()
    return ready


def _tell_of_a_change(code: Code, stopping: threading.Event) -> None:
    """Say it once: whoever edits a job would wonder why the old one runs."""
    while not stopping.wait(LOOK_SECONDS):
        if changed := code.changed():
            return say(f"{os.path.relpath(changed)} has changed. Restart to run it: Ctrl-C, then make run again.")
    return None


def checked(env: Mapping[str, str]) -> tuple[Start, Mapping[str, Any]]:
    """The settings of our processes: those to start with, and others by their names.

    Raises StartError with all that is wrong in the environment.
    """
    try:
        return from_environment(env)
    except WrongSettings as wrong:
        raise StartError(str(wrong)) from None


def main() -> int:
    os.umask(0o077)  # what we and our processes write is for their owner: a log and a database have secrets in them
    supervisor = Supervisor(cwd=ROOT, say=say)
    try:
        start(Config.from_environment(os.environ), supervisor)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        supervisor.stop()
    say("Ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
