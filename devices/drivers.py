"""NAPALM drivers: any that is installed, core, community or local, by the host's platform."""

import copy
import inspect
import sys
from pathlib import Path
from typing import Any

from napalm.base import NetworkDriver, get_network_driver
from nornir.core.configuration import Config
from nornir.core.inventory import Host

from devices.lab import driver as lab_driver

# NAPALM looks for a driver "lab" in a module napalm_lab; this is it, without a package of that name at the top level.
sys.modules.setdefault("napalm_lab", lab_driver)


def new_driver(host: Host, config: Config) -> NetworkDriver:
    """A driver object for the host, not yet opened, with the inventory's connection options for NAPALM.

    Raises:
        napalm.base.exceptions.ModuleImportError: no such driver is installed.
    """
    options = host.get_connection_parameters("napalm")
    driver_class = get_network_driver(options.platform)
    # A copy, because groups share their options and drivers change them.
    extras: dict[str, Any] = copy.deepcopy(options.extras or {})
    optional_args = extras.setdefault("optional_args", {})
    if options.port:
        optional_args.setdefault("port", options.port)
    if Path(config.ssh.config_file).exists():
        optional_args.setdefault("ssh_config_file", config.ssh.config_file)
    is_lab = issubclass(driver_class, lab_driver.LabDriver)
    parameters = {
        "hostname": host.name if is_lab else options.hostname or host.name,
        "username": options.username,
        "password": options.password,
        **extras,
    }
    return driver_class(**parameters)


def has_commit_confirm(driver: NetworkDriver) -> bool:
    """Whether its class implements a commit that reverts by itself until it is confirmed."""
    driver_class = type(driver)
    for method in ("commit_config", "confirm_commit", "has_pending_commit"):
        if getattr(driver_class, method, None) is getattr(NetworkDriver, method):
            return False
    parameters = inspect.signature(driver.commit_config).parameters.values()
    return any(p.name == "revert_in" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
