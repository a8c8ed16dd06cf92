"""How each cost grows: the same at 1,000, 100,000 and 1,000,000 jobs in the tables."""

import json
from collections.abc import Iterator
from statistics import median
from typing import Final

from benchmarks.dataset import copy_of, many_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, spread
from benchmarks.rows.sides import drain
from benchmarks.web import product_client

_TIMES: Final = {
    "GET /jobs, first page": "",
    "GET /jobs, last page": "?page={last}",
    "GET /jobs, a page in the middle": "?page={middle}",
    "GET /jobs?sort=-id": "?sort=-id",
    "GET /jobs?sort=-finish_time": "?sort=-finish_time",
    "GET /jobs, status=EXCEPTION (1 in 20, counted)": "?filter%5Bstatus%5D=EXCEPTION",
    "GET /jobs, function.name contains sync (counted)": "?filter%5Bfunction.name%5D%5Bcontains%5D=sync",
}


def growth(bench: Bench) -> Iterator[Line]:
    sizes = (1000, 100_000) if bench.quick else (1000, 100_000, 1_000_000)
    found: dict[str, dict[int, list[float]]] = {}
    for _ in range(bench.rounds):
        for size in sizes:
            for what, value in _measured(bench, size).items():
                found.setdefault(what, {}).setdefault(size, []).append(value)
    for what, by_size in found.items():
        for size in sizes[1:]:
            yield Line(
                what=f"{what}, at {size:,} jobs",
                unit="ms",
                ours=spread(by_size[size]),
                baseline=spread(by_size[sizes[0]]),
                against=f"at {sizes[0]:,}",
            )


def _measured(bench: Bench, size: int) -> dict[str, float]:
    database = copy_of(bench, many_jobs(bench, size))
    values: dict[str, float] = {}
    client = product_client(bench, database=database)
    pages = {"last": max(size // 50, 1), "middle": max(size // 100, 1)}
    for what, query in _TIMES.items():
        path = f"/api/v1.0/jobs{query.format(**pages)}"
        values[what] = median(client.times(path, bench.size(20, 5)))
    bench.end_processes()
    count = bench.size(1000, 200)
    bench.purge("default")
    printed = json.loads(bench.product("one_by_one", str(count), database=database))
    values["schedule a job"] = 1000 * printed["seconds"] / count
    values["execute a no-op job"] = _execute(bench, database, count)
    return values


def _execute(bench: Bench, database: str, count: int) -> float:
    """Milliseconds per job of those just scheduled, two at a time, with Beat."""
    platform = bench.platform(database=database)
    platform.beat()
    name = bench.postgresql.database
    bench.postgresql.database = database
    try:
        return 1000 / drain(bench, platform, count + 1)
    finally:
        bench.postgresql.database = name
        bench.end_processes()
