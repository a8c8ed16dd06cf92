"""NAPALM drivers, by the host's platform: any that is installed, core, community or local."""

import copy
import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from napalm.base import NetworkDriver, get_network_driver
from napalm.base.exceptions import ModuleImportError
from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.inventory import ConnectionOptions, Host

from devices.lab import driver as lab_driver

# NAPALM looks for the driver "lab" in a module napalm_lab. This provides it without a top-level package of that name.
sys.modules.setdefault("napalm_lab", lab_driver)


class NoDriver(Exception):
    """There is no usable driver; the text is for the device's result."""


@functools.cache  # NAPALM searches for it each time; a driver that is not installed is looked up again
def driver_named(platform: str | None) -> type[NetworkDriver]:
    """Raises NoDriver."""
    try:
        driver_class: type[NetworkDriver] = get_network_driver(platform)
    except ModuleImportError as exc:
        raise NoDriver(f"no NAPALM driver for platform {platform} is installed where this worker runs") from exc
    except Exception as exc:  # it is third-party code: its imports may fail, or anything else
        raise NoDriver(f"the driver for platform {platform} can't be imported: {type(exc).__name__}: {exc}") from exc
    return driver_class


def ssh_config_file(config: Config) -> str | None:
    """The file of SSH options for all devices of a job, where there is one."""
    file: str = config.ssh.config_file
    return file if os.path.exists(file) else None  # noqa: PTH110  (Path raises where a directory can't be read)


KnownOptions = dict[str, ConnectionOptions]  # for NAPALM, by host
_known_options: Final[WeakKeyDictionary[Nornir, KnownOptions]] = WeakKeyDictionary()


def known_options(nornir: Nornir) -> KnownOptions:
    """For each option of a host Nornir searches its groups. An inventory is never changed, so once is enough."""
    return _known_options.setdefault(nornir, {})


def driver_of(host: Host, ssh_config: str | None, known: KnownOptions) -> Callable[[], NetworkDriver]:
    """A function that makes a driver object for the host, not yet opened, with the inventory's options for NAPALM.

    Raises:
        NoDriver: none is installed, or it can't be imported.
    """
    options = known.get(host.name)
    if options is None:
        options = known[host.name] = host.get_connection_parameters("napalm")
    driver_class = driver_named(options.platform)
    is_lab = issubclass(driver_class, lab_driver.LabDriver)
    login = {
        "hostname": host.name if is_lab else options.hostname or host.name,
        "username": options.username,
        "password": options.password,
    }

    def new_driver() -> NetworkDriver:
        # A copy, because groups share their options, and drivers change them.
        extras: dict[str, Any] = copy.deepcopy(options.extras or {})
        optional_args = extras.setdefault("optional_args", {})
        if options.port:
            optional_args.setdefault("port", options.port)
        if ssh_config is not None:
            optional_args.setdefault("ssh_config_file", ssh_config)
        return driver_class(**{**login, **extras})

    return new_driver


def has_commit_confirm(driver: NetworkDriver) -> bool:
    """Whether its class implements a commit that reverts by itself unless it is confirmed."""
    driver_class: Any = type(driver)
    return _implements_commit_confirm(driver_class)


@functools.cache
def _implements_commit_confirm(driver_class: Any) -> bool:
    for method in ("commit_config", "confirm_commit", "has_pending_commit"):
        if getattr(driver_class, method, None) is getattr(NetworkDriver, method):
            return False
    parameters = inspect.signature(driver_class.commit_config).parameters.values()
    return any(p.name == "revert_in" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def pending_name(driver: NetworkDriver) -> str | None:
    """What distinguishes one unconfirmed commit from another; empty if none waits, None if the driver can't tell.

    NAPALM has no public call for that, but its drivers can tell: eos the session, junos the revision, ios who began it
    and when.
    """
    ask = getattr(driver, "_get_pending_commits", None)
    if ask is None:
        return None
    found = ask()
    if not isinstance(found, dict):
        return None
    if "user" in found or "configured" in found:  # ios: one commit's properties, not commits by name
        return f"{found.get('configured')} {found.get('user')}"
    return " ".join(sorted(map(str, found)))
