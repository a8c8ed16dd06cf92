"""What must be the same in all processes that work on one sync, so that it does not matter which one has a device:
inventory, templates, secrets and code. One keyed hash, because it includes secrets.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

import devices
from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices import inventory
from devices.sync.known import digest


def alike(secrets: Secrets) -> str:
    return digest(json.dumps([_code(), _files(conf.templates), inventory.content(), sorted(secrets.variables.items())]))


@cache
def _code() -> str:
    """About as it was when this process began."""
    return _files(Path(devices.__file__).parent, "*.py")


def _files(directory: Path, pattern: str = "*") -> str:
    """Of all files below a directory, with their names. One that can't be read counts as missing."""
    found = sha256()
    for path in sorted(directory.rglob(pattern)):
        if path.is_file():
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found.update(json.dumps([str(path.relative_to(directory)), sha256(content).hexdigest()]).encode())
    return found.hexdigest()
