"""A hash of what must be the same in all processes of one sync: inventory, templates, secrets and code.

Then it does not matter which process has a device. The hash is keyed, because secrets are in it.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

import devices
from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices import inventory
from devices.sync.known import digest


def alike(secrets: Secrets) -> str:
    return digest(json.dumps([_CODE, _files(conf.templates), inventory.content(), sorted(secrets.variables.items())]))


def _files(directory: Path, pattern: str = "*") -> str:
    """A hash of all files below a directory, and their names. A file that can't be read counts as missing."""
    found = sha256()
    for path in sorted(directory.rglob(pattern)):
        if path.is_file():
            try:
                content = path.read_bytes()
            except OSError:
                continue
            found.update(json.dumps([str(path.relative_to(directory)), sha256(content).hexdigest()]).encode())
    return found.hexdigest()


# Read when this module is imported, which is when a worker starts: so it is the code that runs here, even if an upgrade
# has replaced the files since.
_CODE: Final = _files(Path(devices.__file__).parent, "*.py")
