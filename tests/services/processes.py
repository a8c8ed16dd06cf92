"""Our own processes as production starts them: ``celery worker``, ``celery beat`` and gunicorn, on given services."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.services.base import free_port
from tests.services.managed import Managed
from tests.settings import KEPT, PLAIN_TASKS, STARTED_BY_TESTS
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Platform:
    """Any number of workers, Beats and web servers on one database and one broker. ``stop`` ends all of them."""

    def __init__(
        self,
        *,
        database_url: str,
        broker_url: str,
        directory: Path,
        env: Mapping[str, str] | None = None,
        settings_module: str = "tests.settings",
        root: Path = ROOT,
        preloaded: bool = True,
    ) -> None:
        """``preloaded``: they begin in copies of a process that has imported the packages, where that is the same."""
        self.directory = directory
        self.root = root  # the source that they run
        self.preloaded = preloaded
        self.processes: list[Managed] = []
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or not name.startswith(("CNAASJOBS_", "NORNIR_"))
        }
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds are started: not each should compile the project anew
        self.env = kept | {
            STARTED_BY_TESTS: "1",
            "DJANGO_SETTINGS_MODULE": settings_module,
            "CNAASJOBS_DEV": "1",
            "CNAASJOBS_PLAIN_TASKS": PLAIN_TASKS,
            "CNAASJOBS_STATE_DIR": str(directory),
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": broker_url,
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self.url = self.events_url = ""

    def manage(self, *arguments: str) -> str:
        """``manage.py`` with these arguments; what it printed."""
        process = self._start("manage", [sys.executable, "manage.py", *arguments], env={})
        if process.wait(timeout=120) != 0:
            raise AssertionError(f"manage.py {arguments}: {process.output()}")
        self.processes.remove(process)
        return process.output()

    def worker(
        self,
        name: str = "w1",
        *,
        concurrency: int = 2,
        queues: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        options: Iterable[str] = (),
        prefix: Iterable[str] = (),
        wait: bool = True,
    ) -> Managed:
        """``prefix``: a command that runs it, such as one of ``tests.services.namespace``."""
        argv = ["worker", "--concurrency", str(concurrency), "--hostname", f"{name}@%h", "--loglevel", "INFO"]
        if queues:
            argv += ["--queues", ",".join(queues)]
        process = self._start(name, [*prefix, *self._celery(*argv, *options)], env=env)
        if wait:
            process.wait_for_output(" ready.")
        return process

    def beat(self, name: str = "beat", *, env: Mapping[str, str] | None = None, wait: bool = True) -> Managed:
        process = self._start(name, self._celery("beat", "--loglevel", "INFO", "--pidfile="), env=env)
        if wait:
            process.wait_for_output("beat: Starting")
        return process

    def web(
        self,
        name: str = "web",
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        options: Sequence[str] = (),
    ) -> Managed:
        """gunicorn; its address is ``self.url`` from then on."""
        self.url = f"http://127.0.0.1:{port or free_port()}"
        argv = [
            "-m",
            "gunicorn",
            "cnaasjobs.wsgi",
            "--bind",
            self.url.removeprefix("http://"),
            "--threads",
            "8",
            *options,
        ]
        process = self._start(name, [sys.executable, *argv], env=env)
        if wait:
            process.wait_for_output("Booting worker")
            wait_until(lambda: self.get("/healthz")[0] == 200, timeout=30, message=process.output)
        return process

    def events(
        self,
        name: str = "events",
        *,
        bind: str | None = None,
        proxied: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> Managed:
        """The events process; its address is ``self.events_url`` from then on, unless it binds a unix socket."""
        bind = bind or f"127.0.0.1:{free_port()}"
        self.events_url = f"http://{bind}"
        argv = [sys.executable, "-m", "cnaasjobs.live", "--bind", bind, *(["--proxy-protocol"] if proxied else [])]
        return self._start(name, argv, env=env)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, parsed JSON and headers. Status 0 when nothing answered."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, json.loads(response.read() or b"null"), dict(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null"), dict(error.headers)
        except OSError:
            return 0, None, {}

    def get(self, path: str, **options: Any) -> tuple[int, Any, Mapping[str, str]]:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> tuple[int, Any, Mapping[str, str]]:
        return self.request("POST", path, body, **options)

    def pids(self) -> list[int]:
        """Of all that run."""
        return [one.pid for process in self.processes for one in process.tree()]

    def stop(self) -> None:
        """SIGTERM to all, then SIGKILL to what is left."""
        for process in self.processes:
            process.thaw()
            process.signal(15)
        for process in self.processes:
            process.stop(timeout=10)
        self.processes.clear()

    def kill(self) -> None:
        for process in self.processes:
            process.kill_tree()
        self.processes.clear()

    @staticmethod
    def _celery(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "cnaasjobs", *arguments]

    def _start(self, name: str, argv: list[str], *, env: Mapping[str, str] | None) -> Managed:
        number = len(list((self.directory / "log").glob("*.log")))
        log = self.directory / "log" / f"{number:03}-{name}.log"
        env = self.env | dict(env or {})
        process = Managed(name, argv, log=log, env=env, cwd=self.root, preloaded=self.preloaded)
        self.processes.append(process)
        return process
