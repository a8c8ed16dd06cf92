"""The inventory: read once, read again when it has changed, and never quoted in errors about it."""

import logging
import os
from pathlib import Path

import pytest
import yaml
from django.conf import settings as django_settings
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.plugins.inventory import InventoryPluginRegister
from pytest_django import Settings

from cnaasjobs.conf import conf
from devices import inventory
from devices.inventory import InventoryError
from devices.inventory.configuration import workers
from tests.devices.lab import Lab


def names() -> list[str]:
    return list(inventory.nornir().inventory.hosts)


def test_it_is_kept_while_its_files_stay_as_they_are(lab: Lab) -> None:
    lab.add("sw1")
    assert inventory.nornir() is inventory.nornir()


@pytest.mark.parametrize("file", ["hosts.yml", "groups.yml", "defaults.yml", "config.yml"])
def test_it_is_read_again_when_a_file_changed(lab: Lab, file: str) -> None:
    lab.add("sw1")
    before = inventory.nornir()
    path = lab.directory / file
    path.write_text(path.read_text() + "# changed\n")
    assert inventory.nornir() is not before


def test_what_was_preloaded_is_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add("sw1")
    inventory.preload()
    monkeypatch.setattr("devices.inventory._load", lambda _: pytest.fail("it was read again"))
    assert names() == ["sw1"]


def test_packages_are_searched_for_its_runner_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = inventory.nornir().config
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("they were searched again"))
    assert workers(config) == lab.workers


def test_a_broken_inventory_stops_no_process_that_preloads_it(lab: Lab) -> None:
    (lab.directory / "hosts.yml").write_text("sw1: [")
    inventory.preload()
    with pytest.raises(InventoryError):
        inventory.nornir()


def test_a_file_that_appears_is_seen(lab: Lab) -> None:
    lab.add("sw1")
    (lab.directory / "defaults.yml").unlink()
    assert inventory.nornir().inventory.hosts["sw1"].username is None
    lab.write()
    assert inventory.nornir().inventory.hosts["sw1"].username == "admin"


def test_a_change_within_the_clocks_grain_is_seen(lab: Lab) -> None:
    lab.add("sw1")
    hosts = lab.directory / "hosts.yml"
    stamp = hosts.stat()
    assert names() == ["sw1"]
    lab.add("sw2")
    os.utime(hosts, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert names() == ["sw1", "sw2"]


def test_relative_paths_start_at_the_configuration_file(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hosts.yml").write_text("wrong: {}\n")
    monkeypatch.chdir(elsewhere)
    lab.add("sw1")
    assert names() == ["sw1"]


def test_paths_that_only_exist_where_the_process_was_started_work_as_in_nornir(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.add("sw1")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lab.config.rename(elsewhere / "config.yml")
    django_settings.NORNIR_CONFIG = elsewhere / "config.yml"
    monkeypatch.chdir(lab.directory)
    assert names() == ["sw1"]


def test_nornirs_default_file_names_work(lab: Lab) -> None:
    lab.add("sw1")
    (lab.directory / "hosts.yml").rename(lab.directory / "hosts.yaml")
    (lab.directory / "groups.yml").rename(lab.directory / "groups.yaml")
    lab.config.write_text("inventory: {plugin: SimpleInventory}\n")
    assert names() == ["sw1"]


def test_nornir_writes_no_log_file_and_touches_no_logger(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lab.add("sw1")
    names()
    assert not (tmp_path / "nornir.log").exists()
    logger = logging.getLogger("nornir")
    assert (logger.handlers, logger.propagate) == ([], True)


class CountingInventory:
    """Another plugin, whose data comes from a place that cannot be watched for changes."""

    loads = 0

    def load(self) -> Inventory:
        type(self).loads += 1
        return Inventory(hosts=Hosts({"sw1": Host("sw1")}))


@pytest.mark.parametrize(("seconds", "loads"), [(3600.0, 1), (0.0, 3)])
def test_another_plugin_is_read_again_after_a_time(
    lab: Lab, settings: Settings, monkeypatch: pytest.MonkeyPatch, seconds: float, loads: int
) -> None:
    settings.CNAASJOBS_INVENTORY_CACHE_SECONDS = seconds
    monkeypatch.setitem(InventoryPluginRegister.available, "counting", CountingInventory)
    monkeypatch.setattr(CountingInventory, "loads", 0)
    lab.config.write_text("inventory: {plugin: counting}\n")
    for _ in range(3):
        assert names() == ["sw1"]
    assert CountingInventory.loads == loads


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("sw1: {password: hunter2\n", "hosts.yml, line"),
        ("sw1: {groups: [nosuch]}\n", "nosuch"),
        ("sw1: {data: {a: hunter2, a: hunter2}}\n", "duplicate key"),
        ("hunter2\n", "hosts.yml must be a mapping of host names"),
        ("1001: {}\n", "host name 1001 must be text"),
    ],
)
def test_what_cannot_be_read_is_reported_without_what_stands_in_it(lab: Lab, hosts: str, said: str) -> None:
    (lab.directory / "hosts.yml").write_text(hosts)
    with pytest.raises(InventoryError) as caught:
        inventory.nornir()
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_named(lab: Lab, settings: Settings) -> None:
    (lab.directory / "hosts.yml").unlink()
    with pytest.raises(InventoryError, match=r"hosts\.yml"):
        inventory.nornir()
    settings.NORNIR_CONFIG = lab.directory / "nosuch.yml"
    with pytest.raises(InventoryError, match=r"nosuch\.yml"):
        inventory.nornir()


def test_it_works_again_when_its_fault_was_mended(lab: Lab) -> None:
    lab.add("sw1")
    (lab.directory / "hosts.yml").write_text(":")
    with pytest.raises(InventoryError):
        inventory.nornir()
    lab.write()
    assert names() == ["sw1"]


def test_the_shipped_lab_is_complete() -> None:
    found = inventory.nornir().inventory
    types = {str(host["device_type"]) for host in found.hosts.values()}
    assert types == {"ACCESS", "DIST", "CORE"}
    mapping = yaml.safe_load((conf.templates / "lab" / "mapping.yml").read_text())
    assert set(mapping) == types
