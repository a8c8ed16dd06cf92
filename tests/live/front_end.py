"""Front ends that speak socket.io, as existing ones do."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from jobs.models import Job
from jobs.states import Status
from tests.factory import job_in
from tests.live.conftest import Live
from tests.waiting import wait_until

Connect = Callable[..., "FrontEnd"]
WARNING = ["2026-11-26T20:00:00.000001", "WARNING", "site", "sw1", "slow"]
INFO = ["2026-11-26T20:00:00.000002", "INFO", "site", None, "fine"]


class FrontEnd:
    """The library of the field, with the messages that it got."""

    def __init__(self, url: str, *, jwt: str, transports: list[str], headers: dict[str, str]) -> None:
        self.got: list[Any] = []
        self.refusals: list[Any] = []
        self.client = socketio.Client(reconnection=False)
        self.client.on("events", self.got.append)
        self.client.on("connect_error", self.refusals.append)
        try:
            self.client.connect(f"{url}?jwt={jwt}", headers=headers, transports=transports, wait_timeout=10)
        except socketio.exceptions.ConnectionError as exc:  # it says nothing about one that was refused with a message
            raise ConnectionError(str(self.refusals[0] if self.refusals else exc)) from exc

    def subscribe(self, **wish: str) -> None:
        self.client.emit("events", wish)

    def updates(self, job: Job | None = None) -> list[dict[str, Any]]:
        found = [each for each in list(self.got) if isinstance(each, dict) and "status" in each]
        return [each for each in found if job is None or each["job_id"] == job.pk]

    def syncs(self) -> list[dict[str, Any]]:
        return [each for each in list(self.got) if isinstance(each, dict) and "syncevent_hostname" in each]

    def lines(self) -> list[str]:
        return [each for each in list(self.got) if isinstance(each, str)]


@pytest.fixture
def connect(live: Live) -> Iterator[Connect]:
    clients: list[FrontEnd] = []

    def one(jwt: str = "null", *, transports: list[str] | None = None, **headers: str) -> FrontEnd:
        clients.append(FrontEnd(live.url, jwt=jwt, transports=transports or ["polling", "websocket"], headers=headers))
        return clients[-1]

    yield one
    for client in clients:
        client.client.disconnect()
        client.client.eio.http and client.client.eio.http.close()


def subscribed(client: FrontEnd, live: Live) -> FrontEnd:
    """Its subscription is there: it hears of what happens from now on."""
    client.subscribe(update="job")
    Job.objects.all().delete()
    known = job_in(Status.FINISHED)
    wait_until(lambda: {"job_id": known.pk, "status": "FINISHED"} in client.updates(), message=lambda: str(client.got))
    client.got.clear()
    return client


@pytest.fixture
def tokens_required(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True


def token_of(*permissions: str) -> tuple[User, str]:
    user = User.objects.create_user("ann", password="correct horse")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user, AuthToken.objects.create(user)[1]
