"""Wrong inventories: the API's 503 and a job have the same message, with file and host, and quote nothing."""

from collections.abc import Mapping

import pytest
from nornir.core.inventory import ConnectionOptions, Host

from cnaasjobs.conf import conf
from devices import inventory
from devices.inventory import InventoryError
from devices.tasks import sync_devices
from jobs.testing import exception_of, perform_job
from tests.api.conftest import Api, api
from tests.devices.lab import Lab

__all__ = ["api"]

CANARY = "Hunter2"  # occurs in many of the files, and in no message


@pytest.fixture(autouse=True)
def hosts(lab: Lab) -> None:
    lab.add("sw1")


def write(lab: Lab, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (lab.directory / name).write_text(text)


def fault() -> str:
    with pytest.raises(InventoryError) as caught:
        inventory.nornir()
    assert CANARY not in str(caught.value)
    assert str(caught.value).startswith(f"The inventory of {conf.nornir_config} can't be read: ")
    assert len(str(caught.value)) < 1000
    return str(caught.value)


DEEP = "[" * 1000
MANY = "".join(
    f"g{n}: {{groups: [a{n}, b{n}]}}\na{n}: {{groups: [g{n + 1}]}}\nb{n}: {{groups: [g{n + 1}]}}\n" for n in range(9)
)

FAULTS = [
    # hosts
    ("hosts.yml", "sw1: {groups: access}", "host sw1: groups must be a list of group names"),
    ("hosts.yml", "sw1: {data: {k: 1}}\nsw2: &a\n  data: {k: [1, *a]}", "hosts.yml: the entry sw2 contains itself"),
    ("hosts.yml", "sw1: {data: {k: &a [Hunter2, *a]}}", "hosts.yml: the entry sw1 contains itself"),
    ("hosts.yml", "? [a, Hunter]\n: {platform: lab}", "host name ('a', 'Hunter') must be text of 1 to 255"),
    ("hosts.yml", "sw1: {groups: [labb]}", "host sw1: groups must be groups of {dir}/groups.yml, and labb is not one"),
    ("hosts.yml", "sw1: {groups: [100]}", "host sw1: groups must be a list of group names (quote"),
    ("hosts.yml", "sw1: {platform: 9300}", "host sw1: platform must be text (quote it)"),
    ("hosts.yml", "sw1: {platform: [Hunter2]}", "host sw1: platform must be text"),
    ("hosts.yml", "sw1: {hostname: 10.1}", "host sw1: hostname must be text"),
    ("hosts.yml", "sw1: {data: [Hunter2]}", "host sw1: data must be a mapping"),
    ("hosts.yml", "sw1: {data: Hunter2}", "host sw1: data must be a mapping"),
    ("hosts.yml", "sw1: {port: Hunter2}", "host sw1: port must be a number up to 65535"),
    ("hosts.yml", "sw1: {port: 70000}", "host sw1: port must be a number up to 65535"),
    ("hosts.yml", "sw1: {port: true}", "host sw1: port must be a number"),
    ("hosts.yml", "sw1: {username: [Hunter2]}", "host sw1: username must be text"),
    ("hosts.yml", "sw1: {password: {a: Hunter2}}", "host sw1: password must be text"),
    ("hosts.yml", "sw1: {connection_options: Hunter2}", "host sw1: connection_options must be a mapping"),
    ("hosts.yml", "sw1: {connection_options: {1: {}}}", "host sw1: connection_options.1 must be a mapping"),
    ("hosts.yml", "sw1: {connection_options: {napalm: Hunter2}}", "connection_options.napalm must be a mapping"),
    ("hosts.yml", "sw1: {connection_options: {napalm: {port: x}}}", "connection_options.napalm.port must be a number"),
    ("hosts.yml", "sw1: {connection_options: {napalm: {extras: [1]}}}", "napalm.extras must be a mapping"),
    ("hosts.yml", "sw1: {connection_options: {napalm: {extras: {1: x}}}}", "napalm.extras must be a mapping"),
    ("hosts.yml", "sw1: Hunter2", "host sw1 must be a mapping"),
    ("hosts.yml", "sw1: [Hunter2]", "host sw1 must be a mapping"),
    ("hosts.yml", "- sw1\n- sw2", "must be a mapping of host names"),
    ("hosts.yml", "Hunter2", "must be a mapping of host names"),
    ("hosts.yml", "1001: {}", "host name 1001 must be text of 1 to 255 characters (quote it)"),
    ("hosts.yml", "2024-01-01: {}", "host name datetime.date(2024, 1, 1) must be text"),
    ("hosts.yml", "true: {}", "host name True must be text"),
    ("hosts.yml", "'': {}", "host name '' must be text"),
    ("hosts.yml", "..: {}", "host name .. must not have an empty part, . or .. between slashes"),
    ("hosts.yml", "rack/./sw1: {}", "host name rack/./sw1 must not have an empty part"),
    ("hosts.yml", "sw1/: {}", "host name sw1/ must not have an empty part"),
    ("hosts.yml", "/sw1: {}", "host name /sw1 must not have an empty part"),
    ("hosts.yml", "sw1/jobs: {}", "host name sw1/jobs must not end in /jobs"),
    ("hosts.yml", f"{'x' * 256}: {{}}", "must be text of 1 to 255 characters"),
    ("hosts.yml", '"a\\0b": {}', "host name 'a\\x00b' must be text"),
    ("hosts.yml", '"\\uD800": {}', "host name '\\ud800' must be text"),
    # groups and defaults
    ("groups.yml", "access: {data: [Hunter2]}", "group access: data must be a mapping"),
    ("groups.yml", "access: {platform: 1}", "group access: platform must be text"),
    ("groups.yml", "access: Hunter2", "group access must be a mapping"),
    ("groups.yml", "access: {}\n100: {}", "group name 100 must be text"),
    ("groups.yml", "access: {}\n.: {}", "group name . must not have an empty part"),
    ("groups.yml", "- access", "must be a mapping of group names"),
    (
        "groups.yml",
        "access: {groups: [nosuch]}",
        "access: groups must be groups of {dir}/groups.yml, and nosuch is not one",
    ),
    ("groups.yml", "access: {groups: [a]}\na: {groups: [b]}\nb: {groups: [a]}", "a group above itself (a → b → a)"),
    ("groups.yml", "access: {groups: [access]}", "group access must not be a group above itself (access → access)"),
    ("groups.yml", f"access: {{}}\n{MANY}g9: {{}}", "must not have more than 500 groups above it"),
    ("defaults.yml", "data: [Hunter2]", "defaults.yml: data must be a mapping"),
    ("defaults.yml", "port: Hunter2", "defaults.yml: port must be a number"),
    ("defaults.yml", "connection_options: {napalm: {platform: 1}}", "connection_options.napalm.platform must be text"),
    ("defaults.yml", "port: -1", "defaults.yml: port must be a number"),
    ("defaults.yml", 'connection_options: {"a\\nb": {port: x}}', "connection_options.'a\\nb'.port must be"),
    ("defaults.yml", "[Hunter2]", "defaults.yml must be a mapping"),
    # YAML
    ("hosts.yml", "sw1: {password: Hunter2\n", "line 2: expected ',' or '}', but got '<stream end>'"),
    ("hosts.yml", "sw1: {password: *Hunter2}", "line 1: found undefined alias"),
    ("hosts.yml", "sw1: {password: !Hunter2 x}", "line 1: could not determine a constructor for the tag"),
    ("hosts.yml", "sw1: {password: !Hunter2!x y}", "line 1: found undefined tag handle"),
    ("hosts.yml", "sw1: {data: {a: !!int Hunter2}}", "the entry sw1 holds a value that is not of the type"),
    ("hosts.yml", "sw1: {data: {a: 2024-13-45}}", "the entry sw1 holds a value that is not of the type"),
    ("hosts.yml", "sw1: {data: {a: !!timestamp Hunter2}}", "line 1: failed to construct timestamp from"),
    ("hosts.yml", "sw1: {data: {Hunter2: 1, Hunter2: 2}}", "line 1: found duplicate key"),
    ("hosts.yml", "sw1: {}\nsw1: {password: Hunter2}", "line 2: found duplicate key"),
    ("hosts.yml", "sw1: {password: @Hunter2}", "line 1: a value must not begin with this character (quote it"),
    (
        "hosts.yml",
        "sw1:\n\tpassword: Hunter2",
        "line 2: a value must not begin with this character (quote it; a tab",
    ),
    ("hosts.yml", "sw1: {}\n--- {password: Hunter2}", "line 2: but found another document"),
    ("hosts.yml", "sw1: {password: \x01Hunter2}", "holds a character that YAML does not allow"),
    ("hosts.yml", f"sw1: {{data: {{a: {DEEP}", "is nested too deeply"),
    # the configuration
    ("config.yml", "[Hunter2]", "must be a mapping of sections"),
    ("config.yml", "inventory: {plugin: *Hunter2}", "line 1: found undefined alias"),
    ("config.yml", "inventory: Hunter2", "inventory must be a mapping"),
    ("config.yml", "inventory: {plugin: [Hunter2]}", "inventory: plugin must be text"),
    ("config.yml", "inventory: {options: Hunter2}", "inventory: options must be a mapping"),
    (
        "config.yml",
        "inventory: {options: {hosts_file: Hunter2}}",
        "inventory.options: hosts_file must be one of",
    ),
    ("config.yml", "inventory: {options: {host_file: 1}}", "inventory.options: host_file must be text"),
    ("config.yml", "inventory: {options: {encoding: nosuch, host_file: hosts.yml}}", "nosuch is not an encod"),
    (
        "config.yml",
        "inventory: {options: {host_file: ~nobody-here/x}}",
        "host_file names the home of a user who does not exist",
    ),
    ("config.yml", 'inventory: {options: {host_file: "a\\0b"}}', "host_file contains a NUL character"),
    ("config.yml", "inventory: {plugn: SimpleInventory}", "inventory: plugn must be one of"),
    ("config.yml", "inventory: {plugin: nosuch}", "the inventory plugin nosuch is not installed"),
    ("config.yml", "runner: {plugin: nosuch}", "runner: no plugin nosuch is installed"),
    ("config.yml", "runner: {options: {num_workers: Hunter2}}", "runner: options.num_workers must be a number"),
    ("config.yml", "runner: {options: {workers: 5}}", "runner: TypeError"),
]


@pytest.mark.parametrize(("file", "text", "said"), FAULTS)
def test_a_fault_is_reported_with_its_place(lab: Lab, file: str, text: str, said: str) -> None:
    (lab.directory / file).write_text(text)
    message = fault()
    assert said.replace("{dir}", str(lab.directory)) in message
    assert f"{lab.directory}/{file}" in message


@pytest.mark.parametrize("file", ["hosts.yml", "groups.yml", "defaults.yml", "config.yml"])
def test_what_is_no_readable_file_is_named(lab: Lab, file: str) -> None:
    path = lab.directory / file
    path.write_bytes(b"sw1: {password: Hunter2\xff}")
    assert f"{path} is not utf-8 (at byte 23)" in fault()
    path.unlink()
    path.mkdir()
    assert f"{path} can't be read: Is a directory" in fault()
    path.rmdir()
    path.symlink_to(path)
    assert f"{path} can't be read: Too many levels of symbolic links" in fault()


@pytest.mark.parametrize("file", ["hosts.yml", "config.yml"])
def test_what_must_be_there_is_named(lab: Lab, file: str) -> None:
    (lab.directory / file).unlink()
    assert f"{lab.directory}/{file}" in fault()
    assert "No such file or directory" in fault()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("hosts.yml", "sw1: {groups: access}"),
        ("groups.yml", "access: {groups: [b]}\nb: {groups: [access]}"),
        ("config.yml", "runner: {plugin: nosuch}"),
    ],
)
def test_the_api_and_a_job_say_the_same(lab: Lab, api: Api, file: str, text: str) -> None:
    (lab.directory / file).write_text(text)
    reply = api.post("/device_syncto", {"all": True})
    assert reply.status == 503
    ended = exception_of(perform_job(sync_devices, all=True))
    assert ended is not None
    assert (ended["type"], ended["message"]) == ("InventoryError", reply.message)
    assert reply.message == fault()


# --- what is tolerated ----------------------------------------------------------------------------------------------


def host(lab: Lab, text: str) -> Host:
    (lab.directory / "hosts.yml").write_text(text)
    return inventory.nornir().inventory.hosts["sw1"]


def test_an_empty_value_counts_as_none(lab: Lab) -> None:
    (lab.directory / "groups.yml").write_text("access:\n")
    (lab.directory / "defaults.yml").write_text("")
    assert host(lab, "sw1:\n").extended_data() == {}
    text = "sw1: {groups: , data: , port: , platform: , password: , connection_options: {napalm: }}"
    assert host(lab, text).get_connection_parameters("napalm").dict() == ConnectionOptions(extras={}).dict()
    (lab.directory / "hosts.yml").write_text("# nothing yet\n")
    assert inventory.nornir().inventory.hosts == {}


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("123456", "123456"),
        ("0123", "0123"),
        ("1e5", "1e5"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("true", "true"),
        ("2024-01-01", "2024-01-01"),
        ('"quoted"', "quoted"),
        ("null", None),
        ("~", None),
    ],
)
def test_credentials_are_taken_as_they_are_written(lab: Lab, written: str, taken: str | None) -> None:
    (lab.directory / "defaults.yml").unlink()
    login = f"username: {written}, password: {written}"
    options = f"connection_options: {{napalm: {{{login}, extras: {{optional_args: {{secret: {written}}}}}}}}}"
    found = host(lab, f"sw1: {{{login}, {options}, data: {{password: 0123}}}}")
    napalm = found.connection_options["napalm"]
    assert (found.username, found.password) == (taken, taken)
    assert (napalm.username, napalm.password, napalm.extras) == (taken, taken, {"optional_args": {"secret": taken}})
    assert found.data == {"password": 123}  # data are what YAML says


@pytest.mark.parametrize("written", ["22", '"22"'])
def test_a_port_may_be_text(lab: Lab, written: str) -> None:
    assert host(lab, f"sw1: {{port: {written}}}").port == 22


def test_a_byte_order_mark_is_no_part_of_a_file(lab: Lab) -> None:
    for file in ("hosts.yml", "groups.yml", "defaults.yml", "config.yml"):
        path = lab.directory / file
        path.write_text("\ufeff" + path.read_text())
    assert list(inventory.nornir().inventory.hosts) == ["sw1"]


def test_groups_may_inherit_on_several_ways(lab: Lab) -> None:
    diamond = "a: {groups: [b, c]}\nb: {groups: [d]}\nc: {groups: [d]}\nd: {data: {x: 1}}"
    (lab.directory / "groups.yml").write_text(diamond)
    assert host(lab, "sw1: {groups: [a, d]}")["x"] == 1
