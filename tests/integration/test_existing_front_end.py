"""The front end that sites already have: its requests, in its order, and what its code takes from each answer.

Read from its source: logging in, dashboard, devices, groups, the list of jobs with live changes, and the configuration
page from "Refresh settings" over dry run and live run to "Start over".
"""

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import pytest
import socketio
from django.contrib.auth.models import Permission, User

from tests.identity.issuer import ec_key, private_pem
from tests.services.front import Front
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.devices]

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


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return MODES[request.param]


@pytest.fixture
def front(platform: Platform, mode: Mode) -> Iterator[Front]:
    key = platform.directory / "login-key"
    key.write_bytes(private_pem(ec_key("login")))
    platform.env |= {"CNAASJOBS_JWT_LOGIN": "1", "CNAASJOBS_JWT_LOGIN_KEY_FILE": str(key), **mode.env}
    platform.worker(concurrency=1, wait=False)
    platform.beat(wait=False)
    front = Front(platform, platform.directory)
    yield front
    front.stop()


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


@pytest.fixture
def browser(front: Front, mode: Mode) -> Browser:
    user = User.objects.create_user("ann", password="correct horse")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["add_job", "view_job", "abort_job"]))
    browser = Browser(front.url, mode)
    browser.token = browser.ask("auth", method="POST", basic="ann:correct horse")[0]["access_token"]
    assert browser.get("auth/identity") == browser.who
    return browser


def test_its_pages(browser: Browser) -> None:
    if browser.is_of_another_origin:
        for path, method in (
            ("auth", "POST"),
            ("jobs", "GET"),
            ("device_syncto", "POST"),
            ("repository/settings", "PUT"),
        ):
            browser.preflight(path, method)
    _rights(browser)
    _dashboard(browser)
    _devices(browser)
    _configuration(browser)
    _jobs(browser)
    refreshed = browser.ask("auth/refresh", method="POST", body={})[0]["data"]["access_token"]
    assert refreshed != browser.token


def _rights(browser: Browser) -> None:
    def may(page: str, right: str) -> bool:
        return any(
            {"*", page} & {*each["pages"]} and {"*", right} & {*each["rights"]}
            for each in browser.get("auth/permissions")
        )

    assert may("Config change", "write")
    assert may("Jobs", "read")


def _dashboard(browser: Browser) -> None:
    for repository in ("settings", "templates"):
        assert isinstance(browser.get(f"repository/{repository}")["data"], str)
    assert (
        0 < browser.count("filter[state]=MANAGED") == browser.count("filter[state]=MANAGED&filter[synchronized]=false")
    )
    assert browser.get("system/version")["data"].keys() >= {"version", "git_version"}


def _devices(browser: Browser) -> None:
    """With the filters of its columns, where the dashboard's links lead, and ordered as a click on a column does."""
    page = "devices?page=1&per_page=20"
    every = browser.get(page)["data"]["devices"]
    assert len({device["id"] for device in every}) == len(every)
    assert every[0].keys() >= {"hostname", "device_type", "state", "synchronized"}
    first = every[0]
    for asked in ("filter[state][ilike]=MANAGED", "filter[synchronized]=false&filter[state][ilike]=managed"):
        assert browser.count(f"page=1&per_page=20&{asked}") == len(every)
    one = f"{page}&filter[id][equals]={first['id']}&filter[hostname][contains]={first['hostname'][1:].upper()}"
    assert browser.get(f"{one}&filter[device_type][ilike]={first['device_type'].lower()}")["data"]["devices"] == [first]
    # One that the configuration page was opened for, new ones, and what the front end's nginx asks for others.
    (same,) = browser.get(f"devices?filter[hostname]={first['hostname']}&filter[state]=MANAGED&per_page=1")["data"][
        "devices"
    ]
    assert same == first
    assert browser.get("devices?filter[state]=DISCOVERED&per_page=1")["data"]["devices"] == []
    assert len(browser.get("devices?per_page=1")["data"]["devices"]) == 1
    for column in ("id", "hostname", "device_type", "state", "synchronized", "platform"):
        assert len(browser.get(f"{page}&sort=-{column}")["data"]["devices"]) == len(every)
    assert browser.get("mgmtdomains")["data"]["mgmtdomains"] == []
    assert all(isinstance(members, list) for members in browser.get("groups")["data"]["groups"].values())


def _configuration(browser: Browser) -> None:
    undone = browser.devices_of(GROUP)
    assert undone
    assert browser.get("device_synchistory")["data"]["hostnames"] == {}
    assert browser.get("settings/server")["api"]["COMMIT_CONFIRMED_MODE"] in (0, 1, 2)
    client = browser.connect({"loglevel": "DEBUG"}, {"sync": "all"}, {"update": "job"})
    refreshed = browser.ask("repository/settings", method="PUT", body={"action": "REFRESH"})[0]
    assert (refreshed["status"], type(refreshed["data"])) == ("success", str)
    assert browser.updates == []  # it would take the first job that runs now for the refresh

    dry, total = browser.sync({"group": GROUP}, dry_run=True)
    assert (dry["status"], total, len(dry["finished_devices"])) == ("FINISHED", len(undone), total)
    assert 0 <= dry["change_score"] <= 100
    for report in dry["result"]["devices"].values():
        diffs = [task["diff"] for task in report["job_tasks"] if task["task_name"] == "Sync device config"]
        assert (report["failed"], bool(diffs[0])) == (False, True)

    assert browser.devices_of(GROUP) == undone  # "Start over": a dry run changed nothing
    live, total = browser.sync({"group": GROUP}, dry_run=False, comment="by day", ticket_ref="NOC-1", confirm_mode=1)
    assert (live["status"], len(live["finished_devices"]), live["next_job_id"]) == ("FINISHED", total, None)
    assert (live["comment"], live["ticket_ref"], live["scheduled_by"]) == ("by day", "NOC-1", browser.who)
    browser.waited(
        lambda: [each for each in browser.updates if each == {"job_id": live["id"], "status": "FINISHED"}], 1
    )
    for update in browser.updates:  # of one that began and ended between two looks at the feed, only the end is told
        if update["status"] == "RUNNING":
            assert (update["function_name"].partition(" ")[0], update["scheduled_by"]) == ("sync_devices", browser.who)
    assert sorted(each["syncevent_hostname"] for each in browser.waited(lambda: browser.syncs, total)) == sorted(undone)
    assert {each["syncevent_data"]["job_id"] for each in browser.syncs} == {live["id"]}
    for job in (dry, live):
        browser.waited(partial(browser.lines_of, job), 1)

    assert browser.devices_of(GROUP) == []  # "Start over"
    events = browser.get("device_synchistory")["data"]["hostnames"]
    assert {host: [(each["cause"], each["by"]) for each in of_host] for host, of_host in events.items()} == {
        host: [("sync_devices", browser.who)] for host in undone
    }
    client.disconnect()


def _jobs(browser: Browser) -> None:
    """At each update it loads the list again."""

    def listed(more: str = "") -> list[dict[str, Any]]:
        answer, headers = browser.ask(f"jobs?sort=-id{more}&page=1&per_page=20")
        assert int(headers["X-Total-Count"]) >= len(answer["data"]["jobs"])
        found: list[dict[str, Any]] = answer["data"]["jobs"]
        return found

    assert [job["function_name"] for job in listed()] == ["sync_devices", "sync_devices (dry_run)"]
    for column in ("id", "function_name", "status", "scheduled_by", "finish_time"):
        for sort in (column, f"-{column}"):
            assert len(browser.get(f"jobs?sort={sort}&page=1&per_page=20")["data"]["jobs"]) == 2
    browser.updates.clear()
    browser.log.clear()
    client = browser.connect({"update": "job"}, {"loglevel": "DEBUG"})
    job, _ = browser.sync({"all": True}, dry_run=True, resync=True)
    browser.waited(lambda: [each for each in browser.updates if each == {"job_id": job["id"], "status": "FINISHED"}], 1)
    assert listed()[0] == job
    browser.waited(lambda: browser.lines_of(job), 1)
    for searched in (
        f"&filter[id]={job['id']}",
        "&filter[function_name][contains]=SYNC",
        "&filter[status]=FINISHED",
        f"&filter[scheduled_by][contains]={browser.who}",
        f"&filter[finish_time]={job['finish_time']}",
    ):
        assert job["id"] in [each["id"] for each in listed(searched)]
    assert listed("&filter[ticket_ref][contains]=noc")[0]["ticket_ref"] == "NOC-1"
    assert listed("&filter[comment][contains]=nobody") == []
    client.disconnect()
