"""Pruning jobs whose devices are rows, with what the list costs meanwhile; against jobs that have none."""

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.dataset import copy_of, many_jobs, with_devices
from benchmarks.environment import Bench
from benchmarks.measure import Line, percentile, spread
from benchmarks.rows.sides import TIMEOUT
from benchmarks.web import product_client

_DEVICES: Final = 1000  # of each job
_LIST: Final = "/api/v1.0/jobs?per_page=10"  # of jobs with 1,000 devices, 50 would take half a second
_SECONDS_BETWEEN_JOBS: Final = 10  # in the data set
_TABLES: Final = ("jobs_job", "jobs_joboutcome", "jobs_jobdevice", "jobs_fleet")
_ROWS: Final = f"SELECT {' + '.join(f'(SELECT count(*) FROM {table})' for table in _TABLES)}"


def prune(bench: Bench) -> Iterator[Line]:
    # Half of them are pruned. Jobs without devices have two rows each, and are pruned at a tenth of the rows a second.
    plain = bench.size(80_000, 8000)
    jobs = bench.size(600, 60)
    names = {plain: many_jobs(bench, plain), jobs: with_devices(bench, jobs, devices=_DEVICES)}
    rates: dict[int, list[float]] = {count: [] for count in names}
    quiet, meanwhile = [], []
    for number in range(bench.rounds):
        for count in list(names) if number % 2 == 0 else list(names)[::-1]:
            before, rate, times = _pruned(bench, names[count], count)
            rates[count].append(rate)
            if count == jobs:
                quiet.append(before)
                meanwhile.append(percentile(times, 0.99))
    yield Line(
        what=f"prune {jobs // 2} jobs of {_DEVICES:,} devices while the list is asked: rows of all tables",
        unit="rows/s",
        ours=spread(rates[jobs]),
        baseline=spread(rates[plain]),
        against=f"{plain // 2:,} jobs without devices",
        better="higher",
        target=0.7,
    )
    yield Line(
        what=f"GET /jobs, 10 a page, while jobs of {_DEVICES:,} devices are pruned: p99",
        unit="ms",
        ours=spread(meanwhile),
        baseline=spread(quiet),
        against="without pruning",
        target=2.0,
    )


def _pruned(bench: Bench, name: str, count: int) -> tuple[float, float, list[float]]:
    """The list's p99 before in ms, rows per second until half of the jobs are gone, and each request meanwhile."""
    database = copy_of(bench, name)
    days = str(count * _SECONDS_BETWEEN_JOBS / 86400 / 2)
    env = {"CNAASJOBS_RETENTION_FINISHED_DAYS": days, "CNAASJOBS_RETENTION_EXCEPTION_DAYS": days}
    client = product_client(bench, database=database, env=env)
    bench.settle()
    quiet = percentile(client.times(_LIST, bench.size(100, 50)), 0.99)
    due = (
        "SELECT EXISTS (SELECT 1 FROM jobs_job WHERE finish_time <"
        f" now() - interval '{count * _SECONDS_BETWEEN_JOBS / 2} seconds')"
    )
    ((before,),) = bench.postgresql.execute(_ROWS, database=database)
    bench.settle()
    bench.platforms[-1].beat()
    times: list[float] = []
    begun = time.perf_counter()
    while bench.postgresql.execute(due, database=database)[0][0]:
        if time.perf_counter() - begun > TIMEOUT:
            raise AssertionError(f"not all was pruned after {TIMEOUT:.0f} s")
        times.append(1000 * client.get(_LIST)[0])
    seconds = time.perf_counter() - begun
    ((left,),) = bench.postgresql.execute(_ROWS, database=database)
    bench.end_processes()
    return quiet, (before - left) / seconds, times
