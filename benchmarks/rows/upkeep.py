"""Upkeep's steps at many jobs; and pruning, with what the list costs meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from django.conf import settings

from benchmarks.dataset import copy_of, many_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, percentile, spread
from benchmarks.web import product_client
from jobs.upkeep import lines
from jobs.upkeep.prune import Prune
from jobs.upkeep.republish import Republish
from jobs.upkeep.rescue import Rescue
from tests.switching import on_database


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


def _p50(step: Callable[[], int], count: int) -> float:
    step()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - begun))
    return median(times)


def prune(bench: Bench) -> Iterator[Line]:
    """Half of the jobs are past their retention; the list is asked all the time."""
    count = bench.size(1_000_000, 100_000)
    name = many_jobs(bench, count)
    rates, quiet, meanwhile = [], [], []
    for _ in range(bench.rounds):
        database = copy_of(bench, name)
        client = product_client(bench, database=database)
        quiet.append(percentile(client.times("/api/v1.0/jobs", bench.size(300, 50)), 0.99))
        times: list[float] = []
        over = threading.Event()

        def ask(times: list[float] = times, over: threading.Event = over, client: Any = client) -> None:
            while not over.is_set():
                times.append(1000 * client.get("/api/v1.0/jobs")[0])

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            rates.append(_prune(bench, database, count))
        finally:
            over.set()
            thread.join()
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


def _prune(bench: Bench, database: str, count: int) -> float:
    """Rows per second of the step itself; between two calls it pauses in production."""
    days = count * 10 / 86400 / 2  # the data set has a job every 10 s
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = settings.CNAASJOBS_RETENTION_EXCEPTION_DAYS = days
    try:
        with on_database(bench.postgresql.database_url(database)):
            step, deleted, begun = Prune().step, 0, time.perf_counter()
            while done := step():
                deleted += done
            seconds = time.perf_counter() - begun
    finally:
        settings.CNAASJOBS_RETENTION_FINISHED_DAYS = settings.CNAASJOBS_RETENTION_EXCEPTION_DAYS = None
    if abs(deleted - count / 2) > count / 100:
        raise AssertionError(f"{deleted} of {count / 2:.0f} rows were deleted")
    return deleted / seconds
