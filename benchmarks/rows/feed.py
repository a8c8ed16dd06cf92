"""What the change feed costs: jobs with their changes numbered, and without, in turn on one database."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn
from benchmarks.rows import sides

TARGET: Final = 0.97

_OFF: Final = """
    ALTER TABLE jobs_job DISABLE TRIGGER jobs_job_change;
    ALTER TABLE locks_lock DISABLE TRIGGER locks_lock_change;
    ALTER TABLE jobs_job ALTER COLUMN change SET DEFAULT 0;
    DROP INDEX job_change
"""
_ON: Final = """
    ALTER TABLE jobs_job ENABLE TRIGGER jobs_job_change;
    ALTER TABLE locks_lock ENABLE TRIGGER locks_lock_change;
    ALTER TABLE jobs_job ALTER COLUMN change SET DEFAULT txid_current();
    CREATE INDEX job_change ON jobs_job (change)
"""


def cost(bench: Bench) -> Iterator[Line]:
    executed, scheduled = bench.size(3000, 300), bench.size(10_000, 1000)
    rates: dict[str, Callable[[], float]] = {
        "execute no-op jobs": lambda: sides.ours(bench, executed),
        f"schedule_many of {scheduled:,}": lambda: _many(bench, scheduled),
    }
    for what, rate in rates.items():
        found = in_turn(bench.rounds, {"numbered": rate, "not": partial(_without_numbers, bench, rate)})
        yield Line(
            what=f"{what}, their changes numbered",
            unit="jobs/s",
            ours=found["numbered"],
            baseline=found["not"],
            against="not numbered",
            better="higher",
            target=TARGET,
        )


def _without_numbers(bench: Bench, rate: Callable[[], float]) -> float:
    bench.reset_jobs()
    bench.postgresql.execute(_OFF)
    try:
        return rate()
    finally:
        bench.reset_jobs()
        bench.postgresql.execute(_ON)


def _many(bench: Bench, count: int) -> float:
    bench.reset_jobs()
    bench.settle()
    found: dict[str, float] = json.loads(bench.product("many", str(count)))
    bench.purge("default")
    return count / found["confirmed"]
