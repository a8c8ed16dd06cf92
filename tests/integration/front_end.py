"""The front end that sites already have, as its server sees it: which calls it makes, how, and from which origin."""

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import socketio

from tests.waiting import wait_until

SECONDS: Final = 90.0  # a busy machine
GROUP: Final = "access"
STOPPED: Final = {"FINISHED", "EXCEPTION", "ABORTED"}


class Mode(NamedTuple):
    """How the server runs, where the page comes from, and whom the server takes the browser for."""

    env: dict[str, str]
    origin: str
    who: str


MODES: Final = {
    # The front end's own nginx passes requests on, without the port in Host.
    "development": Mode({}, "http://localhost:8080", "dev"),
    "production": Mode(
        {"CNAASJOBS_REQUIRE_TOKEN": "1", "CNAASJOBS_CORS_ORIGINS": "https://front.example.org"},
        "https://front.example.org",
        "ann",
    ),
}


class Browser:
    """``fetch`` as it calls it, and its socket."""

    def __init__(self, url: str, mode: Mode) -> None:
        self._url = url
        self._mode = mode
        self.is_of_another_origin = "CNAASJOBS_CORS_ORIGINS" in mode.env
        self.who = mode.who
        self.token = ""
        self.log: list[str] = []
        self.updates: list[dict[str, Any]] = []
        self.syncs: list[dict[str, Any]] = []
        self.lost: list[str] = []

    def ask(self, path: str, *, method: str = "GET", body: Any = None, basic: str = "") -> tuple[Any, Any]:
        """Parsed answer and headers; an answer that is not 2xx raises."""
        headers = {
            "Authorization": f"Basic {base64.b64encode(basic.encode()).decode()}" if basic else f"Bearer {self.token}",
            "Origin": self._mode.origin,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}/api/v1.0/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                if self.is_of_another_origin:
                    assert answer.headers["Access-Control-Allow-Origin"] == self._mode.origin
                    assert "X-Total-Count" in answer.headers["Access-Control-Expose-Headers"]
                    assert answer.headers["Access-Control-Allow-Credentials"] == "true"  # it posts with "include"
                return json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def get(self, path: str) -> Any:
        return self.ask(path)[0]

    def preflight(self, path: str, method: str) -> None:
        """What the browser asks first, where the page is of another origin."""
        headers = {
            "Origin": self._mode.origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        request = urllib.request.Request(f"{self._url}/api/v1.0/{path}", None, headers, method="OPTIONS")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == self._mode.origin
            assert method in answer.headers["Access-Control-Allow-Methods"]
            allowed = answer.headers["Access-Control-Allow-Headers"].lower()
            assert {"authorization", "content-type"} <= {name.strip() for name in allowed.split(",")}

    def count(self, filters: str) -> int:
        return int(self.ask(f"devices?{filters}")[1]["X-Total-Count"])

    def connect(self, *wishes: dict[str, str]) -> socketio.Client:
        """It says at each connection what it wants, and connects again by itself."""
        client = socketio.Client()
        client.on("connect", lambda: [client.emit("events", wish) for wish in wishes])
        client.on("disconnect", lambda reason="": self.lost.append(reason))
        client.on("events", self._take)
        client.connect(f"{self._url}?jwt={self.token}", headers={"Origin": self._mode.origin}, wait_timeout=30)
        return client

    def _take(self, data: Any) -> None:
        if isinstance(data, str):
            self.log.append(data)
        elif isinstance(data.get("job_id"), int):
            self.updates.append(data)
        elif "syncevent_hostname" in data and "syncevent_data" in data:
            self.syncs.append(data)

    # --- the configuration page ---------------------------------------------------------------------------------------

    def devices_of(self, group: str) -> list[str]:
        """Those that are not synchronised, as "Synchronization events" lists them."""
        found = self.get("devices?filter[synchronized]=false&filter[state]=MANAGED&per_page=1000")["data"]["devices"]
        members = set(self.get(f"groups/{group}")["data"]["groups"][group])
        return [device["hostname"] for device in found if device["hostname"] in members]

    def sync(self, target: Mapping[str, Any], **options: Any) -> tuple[dict[str, Any], int]:
        """Start it, ask for it until it stopped; the job, and what its progress bar counts up to."""
        answer, headers = self.ask("device_syncto", method="POST", body={**target, **options})
        seen: list[dict[str, Any]] = []

        def stopped() -> bool:
            seen.append(self.get(f"job/{answer['job_id']}")["data"]["jobs"][0])
            assert len(seen[-1]["finished_devices"] or []) <= int(headers["X-Total-Count"])
            return seen[-1]["status"] in STOPPED

        wait_until(stopped, timeout=SECONDS, interval=1.0, message=lambda: str(seen[-1]))
        return seen[-1], int(headers["X-Total-Count"])

    def waited(self, found: Callable[[], list[Any]], count: int) -> list[Any]:
        """What came, once there is so much of it."""
        wait_until(
            lambda: len(found()) >= count,
            timeout=SECONDS,
            message=lambda: f"{found()} of {self.updates}, {self.syncs}, {self.log}, disconnected {self.lost}",
        )
        return list(found())

    def lines_of(self, job: dict[str, Any]) -> list[str]:
        return [line for line in list(self.log) if re.search(rf"job #{job['id']}\b", line, re.I)]
