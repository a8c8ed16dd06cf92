"""What the environment tells ``make run``: its address, its state directory, a database or broker of your own."""

import errno
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGIN_KEY = "login-key"
# As root, Celery's workers warn of pickle, which ours refuse. PYTHONWARNINGS matches the beginning of the message.
ROOT_REMARK = "ignore:You're running the worker with superuser privileges"


class StartError(Exception):
    """Why the platform cannot start, in one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Config:
    host: str
    port: int
    state_dir: Path
    database_url: str | None
    broker_url: str | None
    nornir_config: str | None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Config":
        """Raises StartError if PORT is not a port number."""
        port = environ.get("PORT") or "8000"
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise StartError(f"PORT must be a number from 0 to 65535 (0: any free one), not {port!r}")
        return cls(
            host=environ.get("HOST") or "127.0.0.1",
            port=int(port),
            state_dir=Path(environ.get("CNAASJOBS_STATE_DIR") or ROOT / "state").absolute(),
            database_url=environ.get("DATABASE_URL") or None,
            broker_url=environ.get("CELERY_BROKER_URL") or None,
            nornir_config=environ.get("NORNIR_CONFIG") or None,
        )

    def listen(self) -> socket.socket:
        """The web server's socket. The supervisor holds it, so that nobody takes the port while that server restarts.

        Raises StartError if the port is in use or not permitted, or the host is not an address of this machine.
        """
        try:
            family, _, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            return socket.create_server((str(address[0]), self.port), family=family)
        except socket.gaierror as error:
            raise StartError(f"HOST {self.host!r} has no address: {error.strerror}") from None
        except PermissionError:
            raise StartError(f"Port {self.port} needs root: set PORT to 1024 or higher") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                another = f"set PORT to another (make run PORT={self.port + 1})"
                raise StartError(f"Port {self.port} on {self.host} is in use: {another}") from None
            raise StartError(f"Cannot listen on {self.host} port {self.port}: {error.strerror}") from None


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def shown_url(listener: socket.socket) -> str:
    """The URL at which a client on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"  # it is bound to addresses of one kind
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def child_environment(config: Config, *, secret_key: str, is_exposed: bool) -> dict[str, str]:
    """The environment of the platform's processes: this one's, with what development mode needs."""
    env = dict(os.environ)
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        if not env.get(name):  # empty means unset, as in the settings
            env.pop(name, None)
    env.update(
        CNAASJOBS_DEV="1",
        CNAASJOBS_STATE_DIR=str(config.state_dir),
        DJANGO_SETTINGS_MODULE="cnaasjobs.settings",
        PYTHONUNBUFFERED="1",
    )
    if not env.get("SECRET_KEY"):
        env["SECRET_KEY"] = secret_key
    if not env.get("CNAASJOBS_JWT_LOGIN_KEY_FILE"):  # made by ``prepare``, where CNAASJOBS_JWT_LOGIN wants it
        env["CNAASJOBS_JWT_LOGIN_KEY_FILE"] = str(config.state_dir / LOGIN_KEY)
    if os.geteuid() == 0:
        env["PYTHONWARNINGS"] = ",".join(filter(None, [env.get("PYTHONWARNINGS"), ROOT_REMARK]))
    if is_exposed:
        env["CNAASJOBS_REQUIRE_TOKEN"] = "1"
    return env
