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

    What can't be read counts as missing. Left out is what no two machines have the same of: Git's own files, and the
    directory with a time in its name, and the link to it, through which Kubernetes shows the files of a ConfigMap.
    """
    found = sha256()
    for place, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if not _is_of_one_machine(name))
        shown = sorted([*directories, *(name for name in names if not _is_of_one_machine(name))])
        for path in (Path(place, name) for name in shown if name.endswith(suffix)):
            with suppress(OSError):  # among others for a directory, which is no link
                content = path.read_bytes() if path.is_file() else os.fsencode(path.readlink())
                found.update(json.dumps([str(path.relative_to(directory)), sha256(content).hexdigest()]).encode())
    return found.hexdigest()


def _is_of_one_machine(name: str) -> bool:
    return name == ".git" or name.startswith("..")


# Read when this module is imported, which is when a worker starts: so it is the code that runs here, even if an upgrade
# has replaced the files since.
_CODE: Final = _files(Path(devices.__file__).parent, ".py")
