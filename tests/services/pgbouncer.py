"""A private PgBouncer in front of a private PostgreSQL."""

import os
from pathlib import Path
from typing import ClassVar

import psycopg2

from tests.services.base import Service, find_binary, free_port
from tests.services.managed import Managed
from tests.services.postgresql import PostgreSQL, server_user


class PgBouncer(Service):
    """``settings`` go into its ``[pgbouncer]`` section, such as ``{"pool_mode": "transaction"}``."""

    name = "pgbouncer"
    places: ClassVar = ["/usr/sbin", "/usr/local/sbin"]

    def __init__(self, directory: Path, *, server: PostgreSQL, settings: dict[str, str]) -> None:
        super().__init__(directory)
        self.server = server
        self.settings = settings
        self.port = free_port()

    @classmethod
    def is_available(cls) -> bool:
        return find_binary("pgbouncer", cls.places) is not None

    @property
    def url(self) -> str:
        return f"postgres://cnaasjobs@127.0.0.1:{self.port}/{self.server.database}"

    def is_ready(self) -> bool:
        try:
            psycopg2.connect(self.url.replace("postgres:", "postgresql:"), connect_timeout=3).close()
        except psycopg2.OperationalError:
            return False
        return True

    def launch(self) -> Managed:
        users = self.directory / "users.txt"
        users.write_text('"cnaasjobs" ""\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(users),
            **self.settings,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self.server.port}", "[pgbouncer]"]
        ini = self.directory / "pgbouncer.ini"
        ini.write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in settings.items())]) + "\n")
        binary = find_binary("pgbouncer", self.places)
        assert binary
        log = self.directory / "pgbouncer.log"
        return Managed("pgbouncer", [binary, str(ini)], log=log, env=os.environ, user=server_user())  # it refuses root

    def erase(self) -> None:
        """It keeps nothing."""
