"""The lab devices of the run: inventory and templates for the platform ``chaoslab``, whose driver keeps the ledger."""

from pathlib import Path

from tests.chaos.plan import SYNC_GROUPS

_SIZES = {"one": 1, "few": 4}
_CONFIG = """\
inventory:
  plugin: SimpleInventory
  options: {host_file: hosts.yml, group_file: groups.yml, defaults_file: defaults.yml}
runner:
  plugin: threaded
  options: {num_workers: 3}
"""
_DEFAULTS = """\
platform: chaoslab
data: {device_type: ACCESS}
connection_options:
  napalm:
    extras: {optional_args: {delay_seconds: 0.05}}
"""


def write(directory: Path) -> dict[str, str]:
    """The files; returns the environment that names them."""
    templates = directory / "templates" / "chaoslab"
    templates.mkdir(parents=True)
    (directory / "config.yml").write_text(_CONFIG)
    (directory / "defaults.yml").write_text(_DEFAULTS)
    (directory / "groups.yml").write_text("".join(f"{group}: {{}}\n" for group in SYNC_GROUPS))
    hosts = [(f"{group}{number}", group) for group in SYNC_GROUPS for number in range(_SIZES[group])]
    (directory / "hosts.yml").write_text("".join(f"{host}: {{groups: [{group}]}}\n" for host, group in hosts))
    (templates / "mapping.yml").write_text("ACCESS: {entrypoint: all.j2}\n")
    (templates / "all.j2").write_text("hostname {{ host }}\n")
    return {"NORNIR_CONFIG": str(directory / "config.yml"), "CNAASJOBS_TEMPLATES": str(directory / "templates")}
