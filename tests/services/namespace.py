"""A host of its own for our processes: a Linux network namespace, which can vanish from the network."""

import functools
import os
import shutil
import subprocess
from contextlib import suppress
from itertools import count
from typing import Self

_NETWORKS = 250
_numbers = count(1)  # of this process


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
        self.name = f"cnaasjobs{os.getpid()}-{next(_numbers)}"
        self.here = self.there = ""

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
            number = self._link()
            self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
            _ip("address", "add", f"{self.here}/24", "dev", f"cj{number}")
            _ip("link", "set", f"cj{number}", "up")
            _ip("-n", self.name, "address", "add", f"{self.there}/24", "dev", "there")
            _ip("-n", self.name, "link", "set", "there", "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _link(self) -> int:
        """From this machine to there; the number of a network that no other process has at the moment."""
        for number in range(os.getpid(), os.getpid() + _NETWORKS):
            with suppress(subprocess.CalledProcessError):
                link = f"cj{number % _NETWORKS}"
                _ip("link", "add", link, "type", "veth", "peer", "name", "there", "netns", self.name)
                return number % _NETWORKS
        raise OSError("no link can be made")

    def __exit__(self, *_: object) -> None:
        _ip("netns", "delete", self.name)  # its link goes with it
