"""Inventories from other plugins: their hosts are checked, and their errors show no secret."""

from collections.abc import Callable
from typing import Any

import pytest
from nornir.core.inventory import ConnectionOptions, Defaults, Group, Groups, Host, Hosts, Inventory, ParentGroups
from nornir.core.plugins.inventory import InventoryPluginRegister, TransformFunctionRegister

from cnaasjobs.secrecy import HIDDEN
from devices import inventory
from devices.inventory import InventoryError
from tests.devices.lab import Lab

CANARY = "Hunter2"  # the plugin's token, which no message shows


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.add("sw1")


def fault() -> str:
    with pytest.raises(InventoryError) as caught:
        inventory.nornir()
    assert CANARY not in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


class Foreign:
    """A third-party inventory plugin, with a token."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def load(self) -> Any:
        raise NotImplementedError


@pytest.fixture
def plugin(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], Any]], None]:
    """Makes the inventory come from a function."""

    def use(load: Callable[[Any], Any]) -> None:
        monkeypatch.setattr(Foreign, "load", load)
        monkeypatch.setitem(InventoryPluginRegister.available, "foreign", Foreign)
        options = '{url: "https://netbox.example/?a=b", token: Hunter2, limits: [{api_key: Hunter2-key}]}'
        lab.config.write_text(f"inventory: {{plugin: foreign, options: {options}}}")

    return use


def raises(exc: BaseException) -> Callable[[Any], Any]:
    def load(plugin: Any) -> Any:
        raise exc

    return load


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("Hunter2")


def test_it_is_not_asked_before_there_is_a_job(plugin: Callable[..., None]) -> None:
    asked = []
    plugin(lambda found: asked.append(found))
    inventory.preload()
    assert not asked


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (ValueError("no access with Hunter2"), "ValueError: no access with token"),
        (ValueError("no access\nwith\n Hunter2-key"), "ValueError: no access with limits.api_key"),
        (ValueError("GET https://me:pw-Hunter2@netbox.example/ failed"), "GET https://…@netbox.example/ failed"),
        (OSError("Authorization: Token SHVudGVyMg=="), "Authorization: Token"),
        (OSError("no\x00 answer\ud800"), "OSError: no"),
        (KeyError("sw1"), "KeyError: 'sw1'"),
        (RuntimeError("x" * 5000), "RuntimeError: xxx"),
        (RuntimeError("of the environment: env-token-77"), "of the environment: NB_TOKEN"),
        (SystemExit("Hunter2"), "SystemExit: token"),
        (Unspeakable(), "Unspeakable"),
        (RecursionError(), "RecursionError"),
    ],
)
def test_what_a_plugin_raises_shows_no_secret(
    plugin: Callable[..., None], monkeypatch: pytest.MonkeyPatch, exc: BaseException, said: str
) -> None:
    monkeypatch.setenv("NB_TOKEN", "env-token-77")
    plugin(raises(exc))
    message = fault()
    assert "the inventory plugin foreign failed: " in message
    assert said in message
    assert "env-token-77" not in message
    assert "SHVudGVyMg" not in message
    assert "\x00" not in message
    message.encode()


def test_what_a_plugin_raises_shows_no_password_of_the_inventory_that_was_read_before(
    lab: Lab, plugin: Callable[..., None]
) -> None:
    lab.hosts["sw1"]["password"] = "of-device-77"
    lab.write()
    inventory.nornir()
    plugin(raises(ValueError("of-device-77 is refused")))
    assert f"ValueError: {HIDDEN} is refused" in fault()


HOSTS_OF_DICTS: Any = {"sw1": {}}
HOST_NUMBER_5: Any = {5: Host("5")}


def made(**attributes: Any) -> Callable[[Any], Inventory]:
    return lambda plugin: Inventory(hosts=Hosts(sw1=Host("sw1", **attributes)))


def defaults(**attributes: Any) -> Callable[[Any], Inventory]:
    return lambda plugin: Inventory(hosts=Hosts(sw1=Host("sw1")), defaults=Defaults(**attributes))


def cycle(plugin: Any) -> Inventory:
    one, two = Group("one"), Group("two")
    one.groups, two.groups = ParentGroups([two]), ParentGroups([one])
    return Inventory(hosts=Hosts(sw1=Host("sw1", groups=ParentGroups([one]))), groups=Groups(one=one, two=two))


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (made(platform=9300), "host sw1: platform must be text"),
        (made(port="Hunter2"), "host sw1: port must be a number"),
        (made(port="\u00b2"), "host sw1: port must be a number"),
        (made(port="9" * 5000), "host sw1: port must be a number"),
        (made(password=True), "host sw1: password must be text"),
        (defaults(platform=9300), "the defaults: platform must be text"),
        (made(data=["Hunter2"]), "host sw1: data must be a mapping"),
        (made(groups=["one"]), "must make hosts and groups of Nornir's types"),
        (cycle, "group one must not be a group above itself"),
        (lambda plugin: None, "must make hosts and groups of Nornir's types"),
        (lambda plugin: Inventory(hosts=HOSTS_OF_DICTS), "must make hosts and groups of Nornir's types"),
        (lambda plugin: Inventory(hosts=HOST_NUMBER_5), "host name 5 must be text"),
    ],
)
def test_what_a_plugin_makes_is_checked(plugin: Callable[..., None], load: Callable[[Any], Any], said: str) -> None:
    plugin(load)
    message = fault()
    assert said in message
    assert "the inventory plugin foreign" in message


def test_data_that_contains_itself_is_a_fault_too(plugin: Callable[..., None]) -> None:
    data: dict[str, Any] = {}
    data["itself"] = data
    plugin(made(data=data))
    assert "it causes RecursionError" in fault()


def test_what_another_plugin_makes_may_have_numbers_as_credentials(plugin: Callable[..., None]) -> None:
    options: Any = {"napalm": ConnectionOptions(password=77, port="830")}  # type: ignore[arg-type]
    plugin(made(username=1, password=12345678, connection_options=options))
    found = inventory.nornir().inventory.hosts["sw1"]
    napalm = found.get_connection_parameters("napalm")
    assert (found.username, found.password, napalm.password, napalm.port) == ("1", "12345678", "77", 830)


@pytest.mark.parametrize(
    ("value", "said"),
    [("[Hunter2]", "host sw1: password must be text"), ("Hunter2", "transform function own failed: ValueError: no ")],
)
def test_a_transform_function_is_checked_too(lab: Lab, monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    def transform(host: Host, **options: Any) -> None:
        host.password = options["password"]
        if host.password == CANARY:
            raise ValueError(f"no {host.password}")

    monkeypatch.setitem(TransformFunctionRegister.available, "own", transform)
    config = lab.config.read_text()
    options = f"  transform_function: own\n  transform_function_options: {{password: {value}}}\n"
    lab.config.write_text(config.replace("inventory:\n", f"inventory:\n{options}"))
    message = fault()
    assert said in message
    assert "transform function own" in message
    lab.config.write_text(config.replace("inventory:\n", "inventory:\n  transform_function: nosuch\n"))
    assert "the transform function nosuch is not installed" in fault()
