"""The front end that sites already have: its requests, in its order, and what its code takes from each answer.

Read from its source: logging in, dashboard, devices, groups, the list of jobs with live changes, and the configuration
page from "Refresh settings" over dry run and live run to "Start over".
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from tests.identity.issuer import ec_key, private_pem
from tests.integration.front_end import GROUP, MODES, Browser, Mode
from tests.services.front import Front
from tests.services.processes import Platform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.devices]


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


@pytest.fixture
def browser(front: Front, mode: Mode) -> Browser:
    user = User.objects.create_user("ann", password="correct horse")
    user.user_permissions.add(*Permission.objects.filter(codename__in=["add_job", "view_job", "abort_job"]))
    browser = Browser(front.url, mode)
    browser.token = browser.ask("auth", method="POST", basic="ann:correct horse")[0]["access_token"]
    assert browser.get("auth/identity") == browser.who
    return browser


def test_each_page_of_the_front_end_gets_the_answers_that_it_needs(browser: Browser) -> None:
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
