"""A separate host for our processes: a network namespace of Linux, which can vanish from the network."""

import functools
import os
import shutil
import subprocess
from itertools import count
from typing import Self

_numbers = count(os.getpid() % 50 * 4 + 1)  # other test runs on this machine have other networks


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@functools.cache
def is_available() -> bool:
    """True where we may make one: as root, mostly."""
    if shutil.which("ip") is None:
        return False
    try:
        with Namespace():
            return True
    except (subprocess.SubprocessError, OSError):
        return False


class Namespace:
    """``here`` is this machine's address as it is seen from there; services that are to be reached listen on it."""

    def __init__(self) -> None:
        number = next(_numbers) % 250
        self.name = f"cnaasjobs{os.getpid()}-{number}"
        self._link = f"cj{number}"
        self.network = f"10.213.{number}"
        self.here, self.there = f"{self.network}.1", f"{self.network}.2"

    @property
    def prefix(self) -> list[str]:
        """Before a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def vanish(self) -> None:
        """Nothing reaches it and nothing comes from it any more, as after a power failure."""
        _ip("-n", self.name, "link", "set", "there", "down")

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "there", "netns", self.name)
            _ip("address", "add", f"{self.here}/24", "dev", self._link)
            _ip("link", "set", self._link, "up")
            _ip("-n", self.name, "address", "add", f"{self.there}/24", "dev", "there")
            _ip("-n", self.name, "link", "set", "there", "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _ip("netns", "delete", self.name)  # its link goes with it
