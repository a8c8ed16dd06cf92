"""What a state directory holds (database, broker and key), for the settings and for ``make run``."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

# A unix socket's path has at most 107 bytes on Linux, 103 on macOS.
MAX_SOCKET_PATH_BYTES = 100


def database_path(state_dir: Path) -> Path:
    return state_dir / "db.sqlite3"


def secret_key_file(state_dir: Path) -> Path:
    return state_dir / "secret-key"


def secret_key(state_dir: Path) -> str | None:
    """The key that ``make run`` made there; None if there is none, or this user can't read it."""
    try:
        return secret_key_file(state_dir).read_text().strip() or None
    except OSError:
        return None


def socket_directory(state_dir: Path) -> Path:
    """The state directory; if its path is too long for a socket, a directory under /tmp named after it."""
    if len(os.fsencode(state_dir / "broker.sock")) <= MAX_SOCKET_PATH_BYTES:
        return state_dir
    name = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:16]
    return Path(f"/tmp/cnaasjobs-{os.getuid()}-{name}")  # noqa: S108  # nosec B108 # make run checks its owner


def broker_socket(state_dir: Path) -> Path:
    return socket_directory(state_dir) / "broker.sock"


def broker_url(state_dir: Path) -> str:
    return f"redis+socket://{quote(str(broker_socket(state_dir)))}"
