"""``make run``: the whole platform on one machine, from an empty directory to the first finished job."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from cnaasjobs.conf import Conf, WrongSettings, from_environment
from cnaasjobs.embedded import broker_socket
from cnaasjobs.run import first_job, programs
from cnaasjobs.run.broker import answers
from cnaasjobs.run.config import ROOT, Config, StartError, child_environment, is_loopback, shown_url
from cnaasjobs.run.state import StateDirectory, secret
from cnaasjobs.run.supervisor import Supervisor

BROKER_SECONDS = 30.0
READY_SECONDS = 60.0

_output = threading.Lock()


def say(text: str) -> None:
    """Print a message on the terminal. A reader that went away (``| head``) does not end the platform."""
    with _output, contextlib.suppress(OSError):
        print(text, flush=True)


def prepare(state: StateDirectory, env: Mapping[str, str], *, with_token: bool) -> dict[str, Any]:
    """Runs ``cnaasjobs.run.prepare``. Raises StartError with the reason when it failed."""
    log = state.log("prepare")
    command = [sys.executable, "-m", "cnaasjobs.run.prepare", *(["--token"] if with_token else [])]
    with log.open("ab") as errors:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is handled by us: migrations must not be interrupted
        )
    if done.returncode != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise StartError(f"Cannot prepare the database: {last} (all of it: {log})")
    report: dict[str, Any] = json.loads(done.stdout)
    if "wrong" in report:
        raise StartError(report["wrong"])
    if "error" in report:
        raise StartError(f"Cannot prepare the database: {report['error']}")
    return report


def tell(config: Config, url: str, report: Mapping[str, Any]) -> None:
    admin = report["admin"]
    if admin["is_new"]:
        password = f"password {admin['password']} (kept in {admin['file']})"
    elif admin["password"]:
        password = f"password in {admin['file']}"
    else:
        password = "with the password that was set"
    say(f"Database   {'DATABASE_URL' if config.database_url else f'SQLite in {config.state_dir}'}")
    say(f"Broker     {'CELERY_BROKER_URL' if config.broker_url else f'embedded, in {config.state_dir}'}")
    say(f"Logs       {config.state_dir / 'log'}")
    say(f"API        {url}/api/v1.0/jobs")
    say(f"Events     {url}/api/v1.0/events")
    if report["token"]:
        say(f"Token      {report['token']} (as `Authorization: Bearer …`; kept in {config.state_dir / 'token'})")
    say(f"Admin      {url}/admin/ user {admin['name']}, {password}")


def start(config: Config, supervisor: Supervisor) -> None:
    """Starts everything and returns at the signal to end. Raises StartError when something prevents that."""
    state = StateDirectory(config.state_dir)
    listener = config.listen()
    url = shown_url(listener)
    secret_key = secret(state.path / "secret-key", lambda: secrets.token_urlsafe(50))
    env = child_environment(config, secret_key=secret_key, is_exposed=not is_loopback(listener.getsockname()[0]))
    require_token = required_token(env)
    if not config.broker_url:
        broker = programs.broker(state, env)
        supervisor.add(broker)
        socket = broker_socket(state.path)
        if not supervisor.wait_until(lambda: answers(socket), seconds=BROKER_SECONDS):
            if supervisor.stopping.is_set():
                return
            raise StartError(f"The embedded broker does not start (its log: {broker.log})")
    report = prepare(state, env, with_token=require_token)
    if supervisor.stopping.is_set():
        return
    front = programs.front(state, env, listener)
    for program in (*front, programs.worker(state, env), programs.beat(state, env)):
        supervisor.add(program)
    api = first_job.Api(url, report["token"])
    tell(config, url, report)
    if not supervisor.wait_until(lambda: is_ready(api), seconds=READY_SECONDS) and not supervisor.stopping.is_set():
        say(f"Not everything is ready yet: {url}/readyz and the logs tell what is missing")
    if report["is_first_start"] and not supervisor.stopping.is_set():
        options = {"say": say, "stopping": supervisor.stopping}
        threading.Thread(target=first_job.run, args=(api,), kwargs=options, daemon=True).start()
    supervisor.run()


def required_token(env: Mapping[str, str]) -> bool:
    """Whether the API requires a token. Raises StartError with everything that is wrong in the environment."""
    try:
        return bool(from_environment(env)[1][Conf.require_token.name])
    except WrongSettings as wrong:
        raise StartError(str(wrong)) from None


def is_ready(api: first_job.Api) -> bool:
    return api.call("GET", "/readyz")[0] == 200


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
