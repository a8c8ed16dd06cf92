"""Which values of an inventory are secret: by their place in it, and by the names of options and data."""

from typing import Any

import pytest
from nornir.core.inventory import ConnectionOptions, Defaults, Group, Groups, Host, Hosts, Inventory

from cnaasjobs.secrecy import HIDDEN
from devices.inventory.secret_values import secret_values


def inventory(host: Host, *, group: Group | None = None, defaults: Defaults | None = None) -> Inventory:
    groups = Groups({group.name: group} if group else {})
    return Inventory(hosts=Hosts({host.name: host}), groups=groups, defaults=defaults or Defaults())


def secrets(found: Inventory) -> set[str]:
    named = secret_values(found)
    assert {name for name, _ in named} <= {HIDDEN}
    return {value for _, value in named}


def test_a_password_is_secret_wherever_it_stands() -> None:
    options = {"napalm": ConnectionOptions(password="of-napalm"), "plain": ConnectionOptions()}
    host = Host("sw1", password="of-host", connection_options=options)
    found = inventory(host, group=Group("access", password="of-group"), defaults=Defaults(password="of-all"))
    assert secrets(found) == {"of-host", "of-napalm", "of-group", "of-all"}
    assert secrets(inventory(Host("sw1"))) == set()


@pytest.mark.parametrize(
    ("extras", "expected"),
    [
        ({"optional_args": {"secret": "enable-me", "port": "4444"}}, {"enable-me"}),
        ({"tokens": [{"of": ["first", "second"]}, "third"], "other": ["fourth"]}, {"first", "second", "third"}),
        ({"passwords": ("first", 123456)}, {"first", "123456"}),
        ({"secret": True, "api_key": None, "use_keys": "always"}, set()),
        ({"community": "abc", "passphrase": "abcd"}, {"abcd"}),
        ({5: "number", "credentials": {5: "fifth"}}, {"fifth"}),
    ],
)
def test_an_option_with_a_secret_name_is_secret(extras: dict[Any, Any], expected: set[str]) -> None:
    host = Host("sw1", connection_options={"napalm": ConnectionOptions(extras=extras)})
    assert secrets(inventory(host)) == expected


def test_data_is_secret_only_if_its_name_leaves_no_doubt() -> None:
    """Much that is called a key or a community there is in every configuration."""
    data = {"community": "public", "token": "ring", "snmp": {"secret": "hidden"}, "private_key": ["of-ssh"]}
    assert secrets(inventory(Host("sw1", data=data))) == {"hidden", "of-ssh"}
