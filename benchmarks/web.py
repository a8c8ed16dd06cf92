"""Asks web servers: one kept-alive connection, requests one after the other."""

import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from benchmarks.base import Base
from benchmarks.environment import Bench, python
from cnaasjobs.conf import from_environment
from tests.services.base import free_port
from tests.waiting import wait_until


class Client:
    """Reconnects when the server ended the connection for being idle; such a request is not timed."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._port = port
        self._headers = dict(headers or {})
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def with_headers(self, headers: Mapping[str, str]) -> "Client":
        """Another client of the same server."""
        return Client(self._port, headers)

    def get(self, path: str) -> tuple[float, bytes, Mapping[str, str]]:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> tuple[float, Any]:
        seconds, answer, _ = self.request("POST", path, json.dumps(body).encode())
        return seconds, json.loads(answer)

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[float, bytes, Mapping[str, str]]:
        """Seconds, body and headers of a 200."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        begun = time.perf_counter()
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            begun = time.perf_counter()
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        answer = response.read()
        seconds = time.perf_counter() - begun
        if response.status != 200:
            raise AssertionError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return seconds, answer, dict(response.headers)

    def times(self, path: str, count: int) -> list[float]:
        """Milliseconds of each of ``count`` requests, after a few that warm everything up."""
        for _ in range(5):
            self.get(path)
        return [1000 * self.get(path)[0] for _ in range(count)]


def product_client(
    bench: Bench, *, database: str | None = None, env: Mapping[str, str] | None = None, base: Base | None = None
) -> Client:
    """The product's web server, with production's settings and the token of a user that may what it needs."""
    platform = bench.platform(database=database, env=env, base=base)
    platform.web()
    return Client(int(platform.url.rpartition(":")[2]), {"Authorization": f"Bearer {token(bench, database)}"})


def token(bench: Bench, database: str | None = None, *, name: str = "bench") -> str:
    from django.contrib.auth.models import Permission, User
    from knox.models import AuthToken

    from tests.switching import on_database

    with on_database(bench.postgresql.database_url(database or bench.postgresql.database)):
        user, is_new = User.objects.get_or_create(username=name)
        if is_new:
            user.user_permissions.set(Permission.objects.filter(codename__in=["view_job", "add_job", "abort_job"]))
        _, text = AuthToken.objects.create(user)
    return str(text)


def cookie(bench: Bench, database: str, *, name: str) -> dict[str, str]:
    """The header by which a browser shows that a superuser has signed in."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client as Browser

    from tests.switching import on_database

    with on_database(bench.postgresql.database_url(database)):
        user, _ = User.objects.get_or_create(username=name, is_superuser=True)
        browser = Browser()
        browser.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"}


@contextmanager
def bare_server(bench: Bench, module: str, env: Mapping[str, str]) -> Iterator[Client]:
    """A baseline's view under the same gunicorn, with as many processes and threads."""
    port = free_port()
    start, _ = from_environment(os.environ)
    options = {
        "--config": "benchmarks/baselines/gunicorn_options.py",
        "--bind": f"127.0.0.1:{port}",
        "--workers": str(start.web_workers),
        "--threads": str(start.web_threads),
    }
    argv = python("gunicorn", module, *chain.from_iterable(options.items()))
    process = bench.start(module.rpartition(".")[2], argv, env=env, ready="Booting worker")
    try:
        wait_until(lambda: _listens(port), timeout=30, message=process.output)
        yield Client(port)
    finally:
        process.stop()


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/favicon.ico")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
