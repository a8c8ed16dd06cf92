"""A private PostgreSQL that follows another one, until it is promoted."""

from pathlib import Path
from typing import Any

from tests.services.postgresql import PostgreSQL
from tests.waiting import wait_until


class Standby(PostgreSQL):
    """Made as a copy of its primary when it is first started. Asynchronous, unless the primary is told otherwise."""

    def __init__(self, directory: Path, *, of: PostgreSQL, **options: Any) -> None:
        super().__init__(directory, **options)
        self.primary = of
        self.database = of.database

    def catches_up(self) -> None:
        """Wait until it has all that its primary has written."""
        ((end,),) = self.primary.execute("SELECT pg_current_wal_lsn()::text")
        wait_until(
            lambda: self.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", end) == [(True,)],
            timeout=30,
            message="the standby is behind",
        )

    def hears_no_more(self) -> None:
        """From now on its primary tells it nothing."""
        self.set("primary_conninfo", "")
        wait_until(lambda: not self.execute("SELECT 1 FROM pg_stat_wal_receiver"))

    def promote(self) -> None:
        assert self.execute("SELECT pg_promote(true, 60)") == [(True,)]

    def _initdb(self) -> None:
        self._give_to_server(self.directory)
        address = f"host=127.0.0.1 port={self.primary.port} user=cnaasjobs application_name=standby"
        copied = ["-d", address, "-D", str(self.data), "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        self._run("pg_basebackup", *copied)
