"""A private PostgreSQL: one cluster on loopback, run by another user when the tests run as root (it refuses root)."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import psycopg2

from tests.services.base import Service, find_binary, free_port, is_in_memory
from tests.services.managed import Managed
from tests.waiting import wait_until


def _places() -> list[str]:
    """Distributions keep the server outside PATH; the newest version first."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    return [str(place) for place in sorted(found, key=_version, reverse=True)]


def _version(place: Path) -> int:
    return int("".join(filter(str.isdigit, str(place))) or 0)


@functools.cache
def server_user() -> str | None:
    """The user that the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgreSQL(Service):
    """``settings`` are its GUCs, such as ``{"fsync": "on"}``; ``env`` comes on top of our environment (libfaketime)."""

    name = "postgresql"
    # What was committed survives a crash of the server, not of the machine. Full pages are needed for that: SIGKILL may
    # cut the writing of a page short, between the parts of it that the kernel takes one by one.
    fast: ClassVar[Mapping[str, str]] = {"fsync": "off"}

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] = fast,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(directory)
        self.settings = dict(settings)
        self.env = dict(env or {})
        self.port = port or free_port()
        self.data = directory / "data"
        self.database = "cnaasjobs"  # the one that url, connect and execute mean
        self.takes_writes = True

    @classmethod
    def is_available(cls) -> bool:
        return all(find_binary(name, _places()) for name in ("initdb", "postgres"))

    @property
    def url(self) -> str:
        return self.database_url(self.database)

    def database_url(self, database: str) -> str:
        return f"postgres://cnaasjobs@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str | None = None, **options: Any) -> Any:
        """A psycopg2 connection in autocommit."""
        connection = psycopg2.connect(
            self.database_url(database or self.database).replace("postgres:", "postgresql:"),
            connect_timeout=5,
            **options,
        )
        connection.autocommit = True
        return connection

    def execute(self, sql: str, *parameters: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own; the rows, if it has any."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """A new database, perhaps a copy of another; its URL."""
        sql = f'CREATE DATABASE "{name}"'
        if template:
            sql += f' TEMPLATE "{template}"'
            if self.knows_file_copy():
                sql += " STRATEGY file_copy"  # a quarter of the work of the default, which writes it all to the log
        self._when_nobody_is_there(sql)
        return self.database_url(name)

    def knows_file_copy(self) -> bool:
        """Since PostgreSQL 15 there is a choice; before, all copies were made that way."""
        return int((self.data / "PG_VERSION").read_text()) >= 15

    def drop_database(self, name: str) -> None:
        self._when_nobody_is_there(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _when_nobody_is_there(self, statement: str) -> None:
        """PostgreSQL waits 5 s for sessions to end, which a busy machine may not let them do."""

        def done() -> bool:
            try:
                self.execute(statement, database="postgres")
            except psycopg2.errors.ObjectInUse:
                return False
            return True

        wait_until(done, timeout=60, message=statement)

    def cut_connections(self) -> None:
        """Closes every client's connection, and returns when each is closed."""
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        with closing(self.connect("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT pid, pg_terminate_backend(pid) {others}")
            cut = [pid for pid, _ in cursor.fetchall()]

            def are_closed() -> bool:
                cursor.execute(f"SELECT 1 {others} AND pid = ANY(%s)", (cut,))
                return not cursor.fetchall()

            wait_until(are_closed, message="still connected")

    def until_blocked(self) -> None:
        """Wait until a session waits for a row that another has locked."""
        wait_until(lambda: self.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    def take_no_writes(self) -> None:
        """From now on every new transaction can only read, as on a standby, or with a guard against a full disk."""
        self.takes_writes = False
        self.set("default_transaction_read_only", "on")

    def take_writes_again(self) -> None:
        self.set("default_transaction_read_only", "off")
        self.takes_writes = True

    def set(self, name: str, value: str) -> None:
        """A setting of the server, as ``SHOW`` writes its value; waits until it is in force."""
        with closing(self.connect("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            cursor.execute("SELECT pg_reload_conf()")

            def is_set() -> bool:
                cursor.execute(f"SHOW {name}")
                return bool(cursor.fetchone()[0] == value)

            wait_until(is_set)

    def is_ready(self) -> bool:
        try:
            self.execute("SELECT 1", database="postgres")
        except psycopg2.OperationalError:
            return False
        return True

    def launch(self) -> Managed:
        is_new = not (self.data / "PG_VERSION").exists()
        if is_new:
            self._initdb()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **self.settings,
        }
        if is_in_memory(self.directory):  # one that is killed leaves nothing beside its directory
            options["dynamic_shared_memory_type"] = "mmap"
        # By env(1), after the change of user: libfaketime keeps a semaphore that belongs to who first loaded it.
        argv = ["env", *(f"{name}={value}" for name, value in self.env.items())]
        argv += [self._binary("postgres"), "-D", str(self.data)]
        for key, value in options.items():
            argv += ["-c", f"{key}={value}"]
        return Managed(
            "postgresql",
            argv,
            log=self.directory / "postgresql.log",
            env=os.environ,
            cwd=self.directory,
            user=server_user(),
        )

    def begin_with(self, data: Path) -> None:
        """Before its first start: what a stopped server left, with owners and modes, in place of an empty cluster."""
        self._give_to_server(self.directory)
        subprocess.run(["cp", "-a", str(data), str(self.data)], check=True)

    def start(self) -> "PostgreSQL":
        super().start()
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'cnaasjobs'", database="postgres"):
            self.create_database("cnaasjobs")
        return self

    def stop(self) -> None:
        """The fast stop: clients are disconnected, the data is complete."""
        if self.process is not None:
            self.process.thaw()
            self.process.signal(signal.SIGINT)
        super().stop()

    def kill(self) -> None:
        """Also wait until the last of it is gone: a new server refuses to start while one holds the old one's memory.

        Each client's process has a session of its own, and one that came meanwhile ends by itself, a moment later.
        """
        super().kill()
        wait_until(lambda: not self._memory_is_held(), timeout=30)

    def _memory_is_held(self) -> bool:
        """As the server finds out itself: by the number of its block of shared memory, and of those who hold it."""
        with contextlib.suppress(OSError, IndexError):  # it had not come to that yet, or this is not Linux
            block = (self.data / "postmaster.pid").read_text().splitlines()[6].split()[1]
            held = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
            return any(columns[1] == block and columns[6] != "0" for columns in held)
        return False

    def erase(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)

    def _initdb(self) -> None:
        self._give_to_server(self.directory)
        made = ["-D", str(self.data), "-U", "cnaasjobs", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", *made)

    def _run(self, name: str, *options: str) -> None:
        """As the user that the server runs as."""
        user = server_user()
        as_user: dict[str, Any] = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        subprocess.run([self._binary(name), *options], check=True, capture_output=True, cwd=self.directory, **as_user)

    @staticmethod
    def _give_to_server(path: Path) -> None:
        if user := server_user():
            shutil.chown(path, user)

    @staticmethod
    def _binary(name: str) -> str:
        found = find_binary(name, _places())
        assert found, f"{name} is not installed"
        return found


def run_program(name: str, server: PostgreSQL, *options: str) -> None:
    """One of the server's own version, such as pg_dump, on this server."""
    program = find_binary(name, _places())
    assert program is not None
    address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "cnaasjobs"]
    subprocess.run([program, *address, *options], check=True, capture_output=True)
