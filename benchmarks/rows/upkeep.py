"""Upkeep's steps at many jobs; and pruning, with what the list costs meanwhile."""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

from benchmarks.dataset import copy_of, many_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, percentile, spread
from benchmarks.rows.sides import TIMEOUT
from benchmarks.web import Client, product_client
from jobs.upkeep import lines
from jobs.upkeep.prune import Prune
from jobs.upkeep.republish import Republish
from jobs.upkeep.rescue import Rescue
from jobs.upkeep.runner import Upkeep, chores, repairs
from tests.switching import on_database

_LIST: Final = "/api/v1.0/jobs"
_SECONDS_BETWEEN_JOBS: Final = 10  # in the data set
_SOME_TO_GO: Final = """
    SELECT EXISTS (
        SELECT 1 FROM unnest(ARRAY['FINISHED', 'EXCEPTION']) AS state
        WHERE (SELECT min(finish_time) FROM jobs_job WHERE status = state) < now() - %s * interval '1 s'
    )
"""


def steps(bench: Bench) -> Iterator[Line]:
    sizes = (1000, bench.size(1_000_000, 100_000))
    databases = {size: many_jobs(bench, size) for size in sizes}
    makers: dict[str, Callable[[], Callable[[], int]]] = {
        "rescue": lambda: Rescue(lambda: None).step,
        "republish": lambda: Republish().step,
        "prune (nothing to do)": lambda: Prune().step,
        "free locks": lambda: lines.free_abandoned,
        "wake": lambda: lines.wake_first,
        "lock wait": lambda: lines.end_overdue,
        "question whether there are repairs": lambda: _question(repairs(own_heartbeat=lambda: None)),
        "question whether there are chores": lambda: _question(chores()),
    }
    found: dict[str, dict[int, list[float]]] = {name: {size: [] for size in sizes} for name in makers}
    for _ in range(bench.rounds):
        for size in sizes:
            with on_database(bench.postgresql.database_url(databases[size])):
                for name, make in makers.items():
                    found[name][size].append(_p50(make(), bench.size(100, 20)))
    for name, by_size in found.items():
        yield Line(
            what=f"upkeep's {name} at {sizes[1]:,} jobs, p50",
            unit="ms",
            ours=spread(by_size[sizes[1]]),
            baseline=spread(by_size[sizes[0]]),
            against=f"at {sizes[0]:,}",
            target=1.2,
        )


def _question(upkeep: Upkeep) -> Callable[[], int]:
    return lambda: len(upkeep.to_do(list(upkeep.asked)))


def _p50(step: Callable[[], int], count: int) -> float:
    step()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - begun))
    return median(times)


def prune(bench: Bench) -> Iterator[Line]:
    """Half of the jobs are past their retention when Beat starts; the list is asked all the time."""
    count = bench.size(1_000_000, 100_000)
    name = many_jobs(bench, count)
    days = str(count * _SECONDS_BETWEEN_JOBS / 86400 / 2)
    retention = {"CNAASJOBS_RETENTION_FINISHED_DAYS": days, "CNAASJOBS_RETENTION_EXCEPTION_DAYS": days}
    rates, quiet, meanwhile = [], [], []
    for _ in range(bench.rounds):
        database = copy_of(bench, name)
        client = product_client(bench, database=database, env=retention)
        quiet.append(percentile(client.times(_LIST, bench.size(1000, 50)), 0.99))
        bench.platforms[-1].beat()
        rate, times = _while_pruned(bench, client, database, count)
        rates.append(rate)
        meanwhile.append(percentile(times, 0.99))
        bench.end_processes()
    yield Line(
        what=f"prune half of {count:,} jobs while the list is asked",
        unit="rows/s",
        ours=spread(rates),
        better="higher",
        target=5000,
    )
    yield Line(
        what="GET /jobs while jobs are pruned: p99",
        unit="ms",
        ours=spread(meanwhile),
        baseline=spread(quiet),
        against="without pruning",
        target=2.0,
    )


def _while_pruned(bench: Bench, client: Client, database: str, count: int) -> tuple[float, list[float]]:
    """Rows per second until everything due is deleted, and how long each request took meanwhile, in ms."""

    def left() -> int:
        return int(bench.postgresql.execute("SELECT count(*) FROM jobs_job", database=database)[0][0])

    before, times = left(), []
    begun = time.perf_counter()
    while bench.postgresql.execute(_SOME_TO_GO, count * _SECONDS_BETWEEN_JOBS / 2, database=database)[0][0]:
        if time.perf_counter() - begun > TIMEOUT:
            raise AssertionError(f"{left()} of {before} rows are left after {TIMEOUT:.0f} s")
        times += [1000 * client.get(_LIST)[0] for _ in range(50)]
    seconds = time.perf_counter() - begun
    if abs(left() - count / 2) > count / 100:
        raise AssertionError(f"{left()} of {before} rows are left")
    return (before - left()) / seconds, times
