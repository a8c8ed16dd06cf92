"""The private services of a run, and the product's processes on them.

``started`` is the only entrance: after it Django is set up in this process on the product's own database, with
production's settings, so that rows may import the product.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import amqp

from benchmarks.base import Base, lay_out
from tests.services import PostgreSQL, RabbitMQ, scratch_directory
from tests.services.managed import Managed

if TYPE_CHECKING:
    from tests.services.processes import Platform

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "benchmarks" / ".cache"

# The same server for both sides of every row. Commits survive a crash of the machine, as by default.
POSTGRESQL = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "shared_preload_libraries": "pg_stat_statements",
}


class Bench:
    """What a row needs: services, sizes, and processes that end with the row."""

    def __init__(
        self,
        postgresql: PostgreSQL,
        rabbitmq: RabbitMQ,
        directory: Path,
        *,
        quick: bool,
        rounds: int,
        base: Base | None = None,
    ) -> None:
        self.postgresql = postgresql
        self.rabbitmq = rabbitmq
        self.directory = directory
        self.quick = quick
        self.rounds = rounds
        self.base = base  # another commit's product, as one more side of the rows that know it
        self._base_vhost = rabbitmq.new_vhost()  # its own on the shared broker
        self.platforms: list[Platform] = []
        self._processes: list[Managed] = []
        self._logs = 0

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def versions(self) -> dict[str, str]:
        (version,) = self.postgresql.execute("SELECT version()")[0]
        return {"postgresql": str(version).split()[1], "rabbitmq": self.rabbitmq.ctl("version").strip()}

    # --- the product --------------------------------------------------------------------------------------------------

    def platform(
        self, *, database: str | None = None, env: Mapping[str, str] | None = None, base: Base | None = None
    ) -> "Platform":
        """The product's processes, with production's settings."""
        from tests.services.processes import Platform

        platform = Platform(
            database_url=self._url(database, base),
            broker_url=self._broker_url(base),
            directory=self._directory("platform"),
            settings_module="benchmarks.settings",
            env={**production(), **(env or {})},
            root=base.root if base else ROOT,
            preloaded=False,  # as in production, where the packages' memory is the process's own too
        )
        self.platforms.append(platform)
        return platform

    def product(
        self,
        *arguments: str,
        database: str | None = None,
        env: Mapping[str, str] | None = None,
        base: Base | None = None,
    ) -> str:
        """``benchmarks.driver`` to its end, in a process with the product's own settings and log."""
        own = {
            **production(),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "CNAASJOBS_STATE_DIR": str(self.directory / "state"),
            "DATABASE_URL": self._url(database, base),
            "CELERY_BROKER_URL": self._broker_url(base),
        }
        argv = python("benchmarks.driver", *arguments)
        return self.run(argv, env={**own, **(env or {})}, cwd=base.root if base else ROOT)

    def reset_jobs(self, *, base: Base | None = None) -> None:
        """No jobs, no messages; statistics as of an empty table."""
        tables = "jobs_job, jobs_joboutcome, jobs_heartbeat, jobs_jobblock, jobs_watermark, jobs_auditentry, locks_lock"
        database = base.database if base else None
        self.postgresql.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE", database=database)
        self.purge("default", vhost=self._base_vhost if base else None)

    def _url(self, database: str | None, base: Base | None) -> str:
        return self.postgresql.database_url(database or (base.database if base else self.postgresql.database))

    def _broker_url(self, base: Base | None) -> str:
        """Another commit may declare the same queue otherwise."""
        return self.rabbitmq.vhost_url(self._base_vhost) if base else self.rabbitmq.url

    # --- the other sides ----------------------------------------------------------------------------------------------

    def run(self, argv: list[str], *, env: Mapping[str, str], timeout: float = 900, cwd: Path = ROOT) -> str:
        """A script of either side to its end; what it printed."""
        log = self.directory / "script.log"  # as in production: through a pipe each line would wake this process
        with log.open("w") as stderr:
            done = subprocess.run(
                argv,
                env=_environment(env),
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                timeout=timeout,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(f"{argv} ended with {done.returncode}: {log.read_text()[-4000:]}")
        return done.stdout

    def start(self, name: str, argv: list[str], *, env: Mapping[str, str], ready: str = "") -> Managed:
        """A process of a baseline that goes on until the row ends or ``stop``."""
        self._logs += 1
        log = self.directory / f"{self._logs:03}-{name}.log"
        process = Managed(name, argv, log=log, env=_environment(env), cwd=ROOT)
        self._processes.append(process)
        if ready:
            process.wait_for_output(ready)
        return process

    def database(self, name: str, prepare: Callable[[str], object]) -> str:
        """The URL of a baseline's own database; ``prepare(url)`` makes its tables, once in a run."""
        if not self.postgresql.execute("SELECT 1 FROM pg_database WHERE datname = %s", name):
            prepare(self.postgresql.create_database(name))
        return self.postgresql.database_url(name)

    # --- both ---------------------------------------------------------------------------------------------------------

    def purge(self, *queues: str, vhost: str | None = None) -> None:
        for queue in queues:
            with self.rabbitmq.connect(vhost) as connection, suppress(amqp.exceptions.NotFound):
                connection.channel().queue_purge(queue)

    def depth(self, queue: str) -> int:
        with self.rabbitmq.connect() as connection:
            try:
                return int(connection.channel().queue_declare(queue=queue, passive=True).message_count)
            except amqp.exceptions.NotFound:
                return 0

    def settle(self) -> None:
        """Write what the previous side left to write, so that the next one does not pay for it."""
        self.postgresql.execute("CHECKPOINT")

    def all_run(self) -> bool:
        """True. Raises AssertionError once a process of the product has ended: nobody waits for what it would do."""
        for process in (process for platform in self.platforms for process in platform.processes):
            if not process.running:
                raise AssertionError(f"{process} ended: {process.output()[-2000:]}")
        return True

    def end_processes(self) -> None:
        for platform in self.platforms:
            platform.stop()
        for process in self._processes:
            process.stop()
        self.platforms.clear()
        self._processes.clear()

    def _directory(self, name: str) -> Path:
        self._logs += 1
        directory = self.directory / f"{self._logs:03}-{name}"
        directory.mkdir()
        return directory


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def production() -> dict[str, str]:
    return {"CNAASJOBS_DEV": "0", "SECRET_KEY": "benchmarks-" + "x" * 50, "ALLOWED_HOSTS": "127.0.0.1"}


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """None of our variables reach a baseline's settings by accident."""
    ours = ("CNAASJOBS_", "DJANGO_", "CELERY_", "DATABASE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(env)


@contextmanager
def started(*, quick: bool, rounds: int, base: str | None = None) -> Iterator[Bench]:
    """Services that end with this block, and Django on the product's own database there."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    directory = scratch_directory("bench")
    other = lay_out(base, CACHE) if base else None
    try:
        with (
            PostgreSQL(directory / "postgresql", settings=POSTGRESQL) as postgresql,
            RabbitMQ(directory / "rabbitmq") as rabbitmq,
        ):
            _set_up_django(postgresql, rabbitmq, directory)
            bench = Bench(postgresql, rabbitmq, directory, quick=quick, rounds=rounds, base=other)
            if other:
                postgresql.create_database(other.database)
                bench.platform(base=other).manage("migrate", "--verbosity", "0", "--no-input")
            try:
                yield bench
            finally:
                bench.end_processes()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _set_up_django(postgresql: PostgreSQL, rabbitmq: RabbitMQ, directory: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("CNAASJOBS_", "NORNIR_"))]:
        del os.environ[name]
    os.environ.update(
        production()
        | {
            "CNAASJOBS_STARTED_BY_TESTS": "1",  # tests.settings then leaves the environment alone
            "CNAASJOBS_STATE_DIR": str(directory / "state"),
            "CNAASJOBS_LOG_LEVEL": "WARNING",  # of this process; the product's own log as they do
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "DATABASE_URL": postgresql.url,
            "CELERY_BROKER_URL": rabbitmq.url,
        }
    )
    import django
    from django.core.management import call_command

    django.setup()
    from cnaasjobs.celery import app

    app.loader.import_default_modules()
    call_command("migrate", verbosity=0, interactive=False)
    postgresql.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


def statements(postgresql: PostgreSQL, *, database: str | None = None) -> list[dict[str, Any]]:
    """What the server did since the last reset, the most expensive first."""
    rows = postgresql.execute(
        "SELECT query, calls, total_exec_time, rows FROM pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s) ORDER BY total_exec_time DESC LIMIT 30",
        database or postgresql.database,
    )
    names: Iterable[str] = ("query", "calls", "ms", "rows")
    return [dict(zip(names, row, strict=True)) for row in rows]
