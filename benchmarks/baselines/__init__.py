"""The other sides of the rows, each as good as an expert would write it, and without imports of the product."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.environment import Bench


def bare_env(bench: "Bench") -> dict[str, str]:
    """The environment of ``bare``, on its own database."""
    broker = {"BENCH_BROKER_URL": bench.rabbitmq.url}

    def make_tables(url: str) -> None:
        command = [sys.executable, "-m", "benchmarks.baselines.bare", "tables"]
        bench.run(command, env={**broker, "BENCH_DATABASE_URL": url})

    return {**broker, "BENCH_DATABASE_URL": bench.database("bare", make_tables)}


def guarded_env(bench: "Bench") -> dict[str, str]:
    """The environment of ``guarded``, on the product's database."""
    return {
        "BENCH_BROKER_URL": bench.rabbitmq.url,
        "BENCH_DATABASE_URL": bench.postgresql.database_url(bench.postgresql.database),
    }


def django_db_env(bench: "Bench") -> dict[str, str]:
    """The environment of ``django_db``, on its own migrated database."""
    broker = {"BENCH_BROKER_URL": bench.rabbitmq.url}

    def migrate(url: str) -> None:
        command = [sys.executable, "-m", "benchmarks.baselines.django_db.app", "migrate"]
        bench.run(command, env={**broker, "BENCH_DATABASE_URL": url})

    return {**broker, "BENCH_DATABASE_URL": bench.database("django_db", migrate)}
