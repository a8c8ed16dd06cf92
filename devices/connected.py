"""A connection to a device, for jobs that are no sync: by the inventory, as a sync makes it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from devices import inventory
from devices.selection import Selector

if TYPE_CHECKING:
    from napalm.base import NetworkDriver


@contextmanager
def connected(hostname: str) -> Iterator["NetworkDriver"]:
    """The NAPALM driver of a device of the inventory, opened; closed afterwards.

    Raises:
        InventoryError, SelectionError, NoDriver: it can't be read, has no such device, or names no usable driver.
    """
    from devices.drivers import driver_of, known_options, ssh_config_file  # NAPALM is large, and web servers come here

    nornir = inventory.nornir()
    (host,) = Selector(hostnames=(hostname,)).hosts(nornir.inventory)
    driver = driver_of(host, ssh_config_file(nornir.config), known_options(nornir))()
    try:
        driver.open()
        yield driver
    finally:
        with suppress(Exception):  # the device may have ended it, or it was never complete
            driver.close()
