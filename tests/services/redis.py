"""A private Redis-compatible server, from PATH or from the wheel as in ``make run``, on a TCP port or a unix socket."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cnaasjobs.run.broker import find_server, server_command
from tests.services.base import Broker, free_port
from tests.services.managed import Managed


class Redis(Broker):
    """On a TCP port, or with ``unix_socket`` as ``make run`` has it. ``settings`` are options of the server."""

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        unix_socket: Path | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(directory)
        self.unix_socket = unix_socket
        self.settings = dict(settings or {})
        self.port = 0 if unix_socket else port or free_port()

    @classmethod
    def is_available(cls) -> bool:
        return find_server() is not None

    @property
    def url(self) -> str:
        return f"redis+socket://{self.unix_socket}" if self.unix_socket else f"redis://127.0.0.1:{self.port}/0"

    def separate_urls(self) -> list[str]:
        """Its databases."""
        assert not self.unix_socket
        return [f"redis://127.0.0.1:{self.port}/{number}" for number in range(1, 9)]

    def connect(self) -> redis.Redis:
        once = Retry(NoBackoff(), 0)
        if self.unix_socket:
            return redis.Redis(unix_socket_path=str(self.unix_socket), socket_timeout=3, retry=once)
        return redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=3, retry=once)

    def is_ready(self) -> bool:
        try:
            return bool(self.connect().ping())
        except redis.RedisError:
            return False

    def purge(self) -> None:
        self.connect().flushall()

    def cut_connections(self) -> None:
        self.connect().client_kill_filter(_type="normal", skipme=True)

    def launch(self) -> Managed:
        argv = server_command(directory=self.directory / "data", unix_socket=self.unix_socket, port=self.port)
        for key, value in self.settings.items():
            argv += [f"--{key}", value]
        return Managed("redis", argv, log=self.directory / "redis.log")

    def erase(self) -> None:
        shutil.rmtree(self.directory / "data", ignore_errors=True)
