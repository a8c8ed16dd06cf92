"""What is secret in an inventory: passwords and keys of its hosts, groups and defaults, for the registry."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nornir.core.inventory import Inventory

from cnaasjobs.secrecy import HIDDEN, MIN_LENGTH, Named

# Names of options that hold a secret, such as NAPALM's ``optional_args.secret``, but not files and switches.
_OPTION: Final = re.compile(r"secret|passw|passphrase|pwd|token|community|credential|api_?key|private_?key", re.I)
# ``data`` is left out: it is for templates, where much that is called a key or a community is in every configuration.
_DATA: Final = re.compile(r"secret|passw|passphrase|pwd|private_?key", re.I)


def secret_values(inventory: Inventory) -> Named:
    """Every value, once."""
    places = [*inventory.hosts.values(), *inventory.groups.values(), inventory.defaults]
    found = {value for place in places for value in _of(place)}
    return frozenset((HIDDEN, value) for value in found if len(value) >= MIN_LENGTH)


def _of(place: Any) -> Iterator[str]:
    if place.password is not None:
        yield str(place.password)
    for options in place.connection_options.values():
        if options.password is not None:
            yield str(options.password)
        yield from _named_secret(options.extras or {}, _OPTION)
    yield from _named_secret(place.data or {}, _DATA)


def _named_secret(value: Any, names: re.Pattern[str], *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _named_secret(inner, names, is_secret=is_secret or bool(names.search(str(name))))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named_secret(inner, names, is_secret=is_secret)
    elif is_secret and value is not None and not isinstance(value, bool):
        yield str(value)
