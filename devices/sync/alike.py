"""A hash of what must be the same in all processes of one sync: inventory, templates, secrets and code.

Then it does not matter which process has a device. The hash is keyed, because secrets are in it.
"""

import json
import os
from contextlib import suppress
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


def _files(directory: Path, suffix: str = "") -> str:
    """A hash of all files below a directory, of their names and of links to other directories.

    What can't be read counts as missing. Git's own files are left out: no two clones have the same.
    """
    found = sha256()
    for place, directories, names in os.walk(directory):
        directories[:] = sorted({*directories} - {".git"})
        for path in (Path(place, name) for name in sorted([*directories, *names]) if name.endswith(suffix)):
            with suppress(OSError):  # among others for a directory, which is no link
                content = path.read_bytes() if path.is_file() else os.fsencode(path.readlink())
                found.update(json.dumps([str(path.relative_to(directory)), sha256(content).hexdigest()]).encode())
    return found.hexdigest()


# Read when this module is imported, which is when a worker starts: so it is the code that runs here, even if an upgrade
# has replaced the files since.
_CODE: Final = _files(Path(devices.__file__).parent, ".py")
