"""What front ends read of the inventory, and whether its devices run what they should."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nornir.core.inventory import Host
from pytest_django import Settings

from cnaasjobs.secrecy import Secrets
from devices import rendering
from devices.api.inventory_views import number_of
from devices.models import DeviceState
from devices.sync import now
from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import Job
from jobs.testing import perform, perform_job
from tests.api.conftest import Api, api
from tests.devices.lab import Lab

__all__ = ["api"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.groups["dist"] = {"data": {"device_type": "DIST"}}
    lab.groups["sthlm"] = {"groups": ["access"]}
    lab.add("sw1")
    lab.add("sw2", group="sthlm")
    lab.add("d1", group="dist")


def live(*hostnames: str, by: str | None = "ann", **kwargs: Any) -> Job:
    arguments = {"hostnames": list(hostnames), "dry_run": False, **kwargs}
    return perform(scheduling.schedule(sync_devices, arguments, scheduled_by=by))


def names(api: Api, query: str) -> list[str]:
    return [device["hostname"] for device in api.get(f"/devices?{query}").data["devices"]]


def synchronized(api: Api) -> dict[str, bool]:
    return {device["hostname"]: device["synchronized"] for device in api.get("/devices").data["devices"]}


def test_a_device_as_the_front_end_reads_it(api: Api) -> None:
    reply = api.get("/devices?per_page=2")
    assert reply.data["devices"][0] == {
        "id": number_of("sw1"),
        "hostname": "sw1",
        "device_type": "ACCESS",
        "platform": "lab",
        "state": "MANAGED",
        "synchronized": False,
    }
    assert (len(reply.data["devices"]), reply.headers["X-Total-Count"]) == (2, "3")
    assert 'rel="next"' in reply.headers["Link"]
    assert api.get("/device/d1").data["devices"][0]["device_type"] == "DIST"
    assert api.get("/device/nobody").status == 404


def test_a_name_with_a_slash_is_found_at_each_url(api: Api, lab: Lab) -> None:
    lab.groups["dc1/row2"] = {"groups": ["access"]}
    lab.add("dc1/sw9", group="dc1/row2")
    job = api.post("/device_syncto/hostname/dc1%2Fsw9")
    assert job.body["data"] == "Scheduled job to synchronize dc1/sw9"
    perform(Job.objects.get(pk=job.body["job_id"]))
    assert [one["hostname"] for one in api.get("/device/dc1%2Fsw9/").data["devices"]] == ["dc1/sw9"]
    assert api.get("/groups/dc1%2Frow2").data["groups"] == {"dc1/row2": ["dc1/sw9"]}
    assert [one["job_id"] for one in api.get("/device/dc1%2Fsw9/jobs").data["jobs"]] == [job.body["job_id"]]
    (shown,) = api.get(f"/job/{job.body['job_id']}/devices/dc1%2Fsw9").data["devices"]
    assert (shown["hostname"], shown["state"]) == ("dc1/sw9", "DONE")
    assert "'dc1/sw9\\n'" in api.get("/device/dc1%2Fsw9%0A").body["message"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["sw1", "sw2", "d1"]),
        ("filter[hostname]=sw1", ["sw1"]),
        ("filter[hostname][contains]=SW", ["sw1", "sw2"]),
        ("filter[hostname][in]=d1,sw2", ["sw2", "d1"]),
        ("filter[device_type][ne]=ACCESS", ["d1"]),
        ("filter[state]=MANAGED&filter[synchronized]=false", ["sw1", "sw2", "d1"]),
        ("filter[state]=DISCOVERED", []),
        ("filter[state][ilike]=managed&filter[device_type][ilike]=dist", ["d1"]),
        ("filter[device_type][ilike]=DIS", []),
        (f"filter[id][equals]={number_of('sw2')}", ["sw2"]),
        ("filter[synchronized]=true", []),
        ("sort=hostname", ["d1", "sw1", "sw2"]),
        ("sort=-hostname", ["sw2", "sw1", "d1"]),
        ("page=2&per_page=2", ["d1"]),
        ("page=9", []),
    ],
)
def test_devices_are_filtered_and_ordered_as_jobs_are(api: Api, query: str, found: list[str]) -> None:
    assert names(api, query) == found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("filter[nosuch]=1", "unknown field 'nosuch'"),
        ("filter[synchronized]=perhaps", "value 'perhaps' for synchronized: must be true or false"),
        ("filter[hostname][gt]=a", "operator 'gt' cannot be used on hostname"),
        ("sort=nosuch", "unknown field 'nosuch'"),
        ("per_page=0", "per_page argument must be integer between 1-1000"),
        ("filter[hostname]=%00", "contains a NUL character"),
    ],
)
def test_what_cannot_be_asked_is_a_400_that_names_it(api: Api, query: str, said: str) -> None:
    reply = api.get(f"/devices?{query}")
    assert (reply.status, said in reply.message) == (400, True), reply.message


def test_synchronized_is_what_was_committed_as_long_as_it_would_get_the_same(api: Api, lab: Lab) -> None:
    assert not any(synchronized(api).values())
    live("sw1", "sw2")
    assert synchronized(api) == {"sw1": True, "sw2": True, "d1": False}
    assert names(api, "filter[synchronized]=true") == ["sw1", "sw2"]
    assert names(api, "sort=synchronized") == ["d1", "sw1", "sw2"]
    lab.change("sw1", motd="another")
    assert synchronized(api) == {"sw1": False, "sw2": True, "d1": False}
    lab.template("hostname {{ host }}\nmotd changed\n")
    assert not any(synchronized(api).values())


def test_a_dry_run_makes_nothing_synchronized(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    perform_job(sync_devices, hostnames=["sw1"])
    monkeypatch.setattr(rendering, "render", lambda *_: pytest.fail("rendered"))  # it need not be asked
    assert not any(synchronized(api).values())


def test_an_uncertain_device_is_not_synchronized(api: Api) -> None:
    live("sw1")
    DeviceState.objects.update(uncertain_job_id=4711)
    assert not any(synchronized(api).values())


def test_synchronized_is_still_known_by_a_former_key(api: Api, settings: Settings) -> None:
    live("sw1")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert synchronized(api)["sw1"] is True
    settings.SECRET_KEY_FALLBACKS = []
    assert synchronized(api)["sw1"] is False


def test_a_changed_secret_of_the_templates_is_a_change(api: Api, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.template("hostname {{ host }}\nkey {{ TEMPLATE_SECRET_KEY }}\n")
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "the first one")
    live("sw1")
    assert synchronized(api)["sw1"] is True
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "the second one")
    assert synchronized(api)["sw1"] is False


def test_what_was_rendered_is_not_rendered_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    live("sw1", "sw2", "d1")
    monkeypatch.setattr(now, "_MANY", 2)
    assert all(synchronized(api).values())
    monkeypatch.setattr(rendering, "render", lambda *_: pytest.fail("rendered"))
    assert all(synchronized(api).values())


def test_what_there_is_no_time_for_is_not_known_yet(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lasts(host: Host, secrets: Secrets, wanted: Callable[[], None]) -> str:
        while True:
            wanted()

    live("sw1")
    settings.CNAASJOBS_READ_SECONDS = 0
    assert synchronized(api)["sw1"] is False
    settings.CNAASJOBS_READ_SECONDS = 0.05
    with now._rendered._mutex:  # another request is at it
        assert synchronized(api)["sw1"] is False
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "render", lasts)
        assert synchronized(api)["sw1"] is False
        patch.setattr(rendering, "render", lambda *_: [][0])
        with pytest.raises(IndexError):  # a fault of ours is not the next request's
            synchronized(api)
    settings.CNAASJOBS_READ_SECONDS = 5.0
    assert synchronized(api)["sw1"] is True


def test_a_template_that_fails_leaves_the_others_known(api: Api, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    live("sw1", "sw2")
    lab.template("{% if host == 'sw1' %}{{ nothing.there }}{% endif %}hostname {{ host }}\nmotd {{ motd }}\n")
    for _ in range(2):
        assert synchronized(api) == {"sw1": False, "sw2": True, "d1": False}
        monkeypatch.setattr(rendering, "render", lambda *_: pytest.fail("rendered"))  # neither is rendered again


def test_a_group_has_the_devices_of_the_groups_below_it(api: Api) -> None:
    assert api.get("/groups").data == {"groups": {"access": ["sw1", "sw2"], "dist": ["d1"], "sthlm": ["sw2"]}}
    assert api.get("/groups/access").data == {"groups": {"access": ["sw1", "sw2"]}}
    assert api.get("/groups/nobody").status == 404
    assert api.get("/mgmtdomains").data == {"mgmtdomains": []}


def test_the_history_has_the_live_syncs_that_changed_a_device(api: Api, lab: Lab) -> None:
    assert api.get("/device_synchistory").data == {"hostnames": {}}
    before = time.time()
    live("sw1", "sw2", by="ann")
    live("sw1", by="eve")  # in sync: nothing to change
    live("sw1", by="eve", resync=True)  # pushed, and no different
    perform_job(sync_devices, hostnames=["d1"])
    lab.change("sw1", motd="another")
    live("sw1", by=None)
    history = api.get("/device_synchistory").data["hostnames"]
    assert {host: [event["by"] for event in events] for host, events in history.items()} == {
        "sw1": ["ann", None],
        "sw2": ["ann"],
    }
    first, last = history["sw1"]
    assert first.keys() == {"cause", "by", "timestamp"}
    assert before <= first["timestamp"] <= last["timestamp"] <= time.time()
    assert api.get("/device_synchistory?hostname=sw2").data["hostnames"].keys() == {"sw2"}
    assert api.get("/device_synchistory?hostname=%00").data["hostnames"] == {}


def test_the_history_keeps_ten_of_each(api: Api, lab: Lab) -> None:
    for number in range(12):
        lab.change("sw1", motd=str(number))
        live("sw1", by=str(number))
    events = api.get("/device_synchistory").data["hostnames"]["sw1"]
    assert [event["by"] for event in events] == [str(number) for number in range(2, 12)]


def test_the_server_says_its_confirm_mode(api: Api, settings: Settings) -> None:
    settings.CNAASJOBS_CONFIRM_MODE = 2
    assert api.get("/settings/server").data == {"api": {"COMMIT_CONFIRMED_MODE": 2}}


def _committed(directory: Path) -> None:
    for command in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        ["-c", "user.name=Ann Example", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(directory), *command], check=True)


def test_a_repository_says_its_commit(api: Api, lab: Lab) -> None:
    for name in ("settings", "templates"):
        assert api.get(f"/repository/{name}").data == "Not a git repository"
    _committed(lab.directory)
    for name in ("settings", "templates"):
        for said in (api.get(f"/repository/{name}").data, api.put(f"/repository/{name}", {"action": "REFRESH"}).data):
            assert re.fullmatch(r"Commit [0-9a-f]{40} trunk by Ann Example at \d{4}-\d\d-\d\d .+", said)
    assert api.get("/repository/firmware").status == 404
    assert api.put("/repository/firmware", {"action": "refresh"}).status == 404
    assert api.put("/repository/settings", {"action": "pull"}).status == 400
    assert api.put("/repository/settings").status == 400


def test_what_a_repository_names_is_not_run(api: Api, lab: Lab, tmp_path: Path) -> None:
    """Authors of templates must not be able to run code as the web server."""
    _committed(lab.directory)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path / 'sprung'}\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "pager.log", "gpg.program", "diff.external", "core.sshCommand"):
        subprocess.run(["git", "-C", str(lab.directory), "config", key, str(trap)], check=True)
    subprocess.run(["git", "-C", str(lab.directory), "config", "log.showSignature", "true"], check=True)
    assert api.get("/repository/settings").data.startswith("Commit ")
    assert not (tmp_path / "sprung").exists()


def test_a_refresh_reads_anew_and_says_what_is_wrong(api: Api, lab: Lab) -> None:
    assert api.put("/repository/settings", {"action": "refresh"}).status == 200
    (lab.directory / "hosts.yml").write_text("sw1: [")
    reply = api.put("/repository/settings", {"action": "REFRESH"})
    assert (reply.status, "hosts.yml" in reply.message) == (503, True)
    assert api.get("/devices").status == 503
    lab.write()
    (lab.templates / "lab" / "mapping.yml").write_text("ACCESS: [")
    reply = api.put("/repository/templates", {"action": "REFRESH"})
    assert (reply.status, "mapping.yml" in reply.message) == (503, True)
    lab.template("hostname {{ host }}\n")
    assert api.put("/repository/templates", {"action": "REFRESH"}).status == 200


def test_the_number_of_a_device_is_one_that_javascript_can_hold() -> None:
    """And always the same: browsers keep it."""
    assert number_of("sw1") == 110658197644950
    assert number_of("sw1") < 2**53
    assert len({number_of(f"sw{number}") for number in range(10_000)}) == 10_000
