"""What the compose file starts is started here: each command as it is written there, with its variables, behind nginx.

Not the containers themselves: their image, their limits and their network need a container engine.
"""

import json
import os
import shlex
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from knox.models import AuthToken

from jobs.models import Job
from tests.deploy.files import DEPLOY, ROOT, compose
from tests.factory import job_row
from tests.services import Nginx, PostgreSQL, RabbitMQ
from tests.services.base import free_port
from tests.services.certificates import issue
from tests.services.managed import Managed
from tests.switching import on_database
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq", "nginx")

GIVEN = {
    "SECRET_KEY": "0123456789abcdefghij" * 3,
    "POSTGRES_PASSWORD": "of-postgresql",
    "RABBITMQ_PASSWORD": "of-rabbitmq",
    "HOST_NAME": "jobs.example.org",
}
SERVICES: dict[str, Any] = compose(GIVEN)["services"]
LISTENING = ("web-1", "web-2", "events-1", "events-2")
SECONDS = 90.0  # a busy machine


class Site:
    """Its processes, on this machine: other addresses and paths, and services that are there."""

    def __init__(self, directory: Path, *, database: str, broker: str, stack: ExitStack) -> None:
        self._directory, self._stack = directory, stack
        lab = ROOT / "devices" / "lab"
        self._here = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DATABASE_URL": database,
            "CELERY_BROKER_URL": broker,
            "CNAASJOBS_TRUSTED_PROXIES": "127.0.0.1",
            "CNAASJOBS_STATE_DIR": str(directory / "state"),
            "NORNIR_CONFIG": str(lab / "config.yml"),
            "CNAASJOBS_TEMPLATES": str(lab / "templates"),
        }
        self._address = {name: f"127.0.0.1:{free_port()}" for name in LISTENING}
        self.processes: dict[str, Managed] = {}

    def start(self, name: str) -> Managed:
        argv = [self._localised(name, part) for part in shlex.split(SERVICES[name]["command"])]
        env = {**SERVICES[name]["environment"], **self._here}
        process = Managed(name, argv, log=self._directory / f"{name}.log", env=env, cwd=ROOT)
        self._stack.callback(process.kill_tree)
        self.processes[name] = process
        return process

    def listens(self, name: str) -> bool:
        host, port = self._address[name].split(":")
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) == 0

    def is_healthy(self, name: str) -> bool:
        """By the check that the compose file has for it, which is a process."""
        _, program, *arguments = SERVICES[name]["healthcheck"]["test"]
        argv = [program, *(self._localised(name, part) for part in arguments)]
        check = Managed("check", argv, log=self._directory / "check.log", env=self._here, cwd=ROOT)
        return check.wait(timeout=SECONDS) == 0

    def nginx(self) -> Nginx:
        addresses = {
            f"{SERVICES[name]['networks']['default']['ipv4_address']}:{port}": self._address[name]
            for name in LISTENING
            for port in [8000 if name.startswith("web") else 8001]
        }
        nginx = Nginx(
            self._directory / "nginx",
            addresses=addresses,
            certificate=issue(self._directory),
            upstreams=DEPLOY / "compose" / "upstreams.conf",
        )
        started: Nginx = self._stack.enter_context(nginx)
        return started

    def _localised(self, name: str, text: str) -> str:
        for theirs in ("0.0.0.0:8000", "127.0.0.1:8000", "0.0.0.0:8001"):
            text = text.replace(theirs, self._address.get(name, theirs))
        return text


@pytest.fixture
def site(postgresql: PostgreSQL, rabbitmq: RabbitMQ, scratch: Path) -> Iterator[Site]:
    """On a new database, which the site's own command migrates."""
    with ExitStack() as stack:
        url = postgresql.create_database("compose")
        stack.callback(postgresql.drop_database, "compose")
        site = Site(scratch, database=url, broker=rabbitmq.url, stack=stack)
        migrate = site.start("migrate")
        assert migrate.wait(timeout=SECONDS) == 0, migrate.output()
        with on_database(url):
            yield site
            connections.close_all()


def token() -> str:
    user = User.objects.create_user("ann")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["add_job", "view_job"]))
    return str(AuthToken.objects.create(user)[1])


class Client:
    def __init__(self, nginx: Nginx) -> None:
        self._nginx = nginx
        self._headers = {"Host": GIVEN["HOST_NAME"], "Authorization": f"Bearer {token()}"}

    def open(self, path: str, body: Any = None, **headers: str) -> Any:
        data, own = None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self._nginx.url + path, data, {**own, **self._headers, **headers})
        return urllib.request.urlopen(request, timeout=30, context=self._nginx.context())

    def get(self, path: str) -> Any:
        with self.open(path) as answer:
            return json.loads(answer.read())

    def is_served(self, path: str) -> bool:
        try:
            self.open(path).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return False
        except OSError:
            return False
        return True


def events(stream: Any) -> Iterator[tuple[str, str, Any]]:
    """Name, id and data."""
    fields: dict[str, str] = {}
    for line in stream:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def test_all_of_it_starts_does_a_job_and_does_without_one_of_two(site: Site) -> None:
    for name in (*LISTENING, "worker", "beat"):
        site.start(name)
    for name in ("web-1", "web-2"):
        wait_until(partial(site.listens, name), timeout=SECONDS, message=site.processes[name].output)
        wait_until(partial(site.is_healthy, name), timeout=SECONDS, message=site.processes[name].output)
    site.processes["worker"].wait_for_output(" ready.", timeout=SECONDS)
    client = Client(site.nginx())
    wait_until(lambda: client.is_served("/api/v1.0/events"), timeout=SECONDS)

    with client.open("/api/v1.0/device_syncto", {"hostname": "eosaccess1"}) as answer:
        job = json.loads(answer.read())["job_id"]
    path = f"/api/v1.0/job/{job}"
    wait_until(lambda: client.get(path)["data"]["jobs"][0]["status"] == "FINISHED", timeout=SECONDS)

    with client.open("/api/v1.0/events") as stream:
        name, position, _ = next(events(stream))
        assert name == "position"
        site.processes["events-1"].kill()
        assert list(events(stream)) == []  # it ends
    missed = job_row()
    with client.open("/api/v1.0/events", **{"Last-Event-ID": position}) as stream:  # of the other process
        told = next(data for name, _, data in events(stream) if name == "job")
    assert told["id"] == missed.pk

    site.processes["web-1"].kill()
    for _ in range(4):
        assert {each["id"] for each in client.get("/api/v1.0/jobs")["data"]["jobs"]} == {missed.pk, job}
    for name in ("web-2", "events-2", "worker", "beat"):
        assert site.processes[name].running, site.processes[name].output()
    assert Job.objects.count() == 2
