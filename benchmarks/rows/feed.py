"""What the change feed costs: jobs with their changes numbered, and without, in turn on one database."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn
from benchmarks.rows import sides

TARGET: Final = 0.97

_UNNUMBERED: Final = {"DJANGO_SETTINGS_MODULE": "benchmarks.unnumbered"}
# Triggers of these names must be there, or no process starts; this one finds nothing to do.
_OFF: Final = """
    CREATE OR REPLACE TRIGGER jobs_job_change AFTER UPDATE ON jobs_job FOR EACH ROW
        WHEN (NEW.change < 0) EXECUTE FUNCTION jobs_job_change();
    CREATE OR REPLACE TRIGGER locks_lock_change AFTER UPDATE ON locks_lock FOR EACH ROW
        WHEN (NEW.change < 0) EXECUTE FUNCTION locks_lock_change();
    ALTER TABLE jobs_job ALTER COLUMN change SET DEFAULT 0;
    DROP INDEX job_change
"""
_ON: Final = """
    CREATE OR REPLACE TRIGGER jobs_job_change AFTER UPDATE ON jobs_job FOR EACH ROW
        WHEN (NEW.change <> txid_current()) EXECUTE FUNCTION jobs_job_change();
    CREATE OR REPLACE TRIGGER locks_lock_change AFTER UPDATE ON locks_lock FOR EACH ROW
        WHEN (NEW.change <> txid_current()) EXECUTE FUNCTION locks_lock_change();
    ALTER TABLE jobs_job ALTER COLUMN change SET DEFAULT txid_current();
    CREATE INDEX job_change ON jobs_job (change)
"""


def cost(bench: Bench) -> Iterator[Line]:
    executed, scheduled = bench.size(3000, 300), bench.size(10_000, 1000)
    rates: dict[str, Callable[[Mapping[str, str]], float]] = {
        "execute no-op jobs": lambda env: sides.ours(bench, executed, env=env),
        f"schedule_many of {scheduled:,}": lambda env: _many(bench, scheduled, env),
    }
    for what, rate in rates.items():
        found = in_turn(bench.rounds, {"numbered": partial(rate, {}), "not": partial(_without_numbers, bench, rate)})
        yield Line(
            what=f"{what}, their changes numbered",
            unit="jobs/s",
            ours=found["numbered"],
            baseline=found["not"],
            against="not numbered",
            better="higher",
            target=TARGET,
        )


def _without_numbers(bench: Bench, rate: Callable[[Mapping[str, str]], float]) -> float:
    bench.reset_jobs()
    bench.postgresql.execute(_OFF)
    try:
        return rate(_UNNUMBERED)
    finally:
        bench.reset_jobs()
        bench.postgresql.execute(_ON)


def _many(bench: Bench, count: int, env: Mapping[str, str]) -> float:
    bench.reset_jobs()
    bench.settle()
    found: dict[str, float] = json.loads(bench.product("many", str(count), env=env))
    bench.purge("default")
    return count / found["confirmed"]
