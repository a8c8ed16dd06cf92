"""What the processes that work on one sync must have alike, so that a device is the same whichever has it: inventory,
templates, secrets and code. One keyed hash, because secrets are among it.
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
    """As it was when this process began, more or less."""
    return _files(Path(devices.__file__).parent, "*.py")


def _files(directory: Path, pattern: str = "*") -> str:
    """Of all files below a directory, with their names. One that can't be read is as good as none."""
    found = sha256()
    for path in sorted(directory.rglob(pattern)):
        if path.is_file():
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found.update(json.dumps([str(path.relative_to(directory)), sha256(content).hexdigest()]).encode())
    return found.hexdigest()
