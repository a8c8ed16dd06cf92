"""What it costs to read jobs whose devices are rows: a list of them, one of them, one device."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from benchmarks.base import Base
from benchmarks.environment import Bench
from benchmarks.measure import Line, Spread, medians
from benchmarks.web import Client, product_client
from tests.waiting import wait_until

_API: Final = "/api/v1.0"
_LIST: Final = f"{_API}/jobs?per_page=50&sort=-id"
_JOBS: Final = ((5000, 1), (1000, 1), (20, 50))  # devices, and how many such jobs, in the order of their ids
_ONE_OF_5000: Final = f"{_API}/job/1/devices/device02500"
_OF_1000: Final = f"{_API}/job/2"
_CHEAPEST: Final = f"{_API}/system/version"  # looks up the token, and asks the database nothing else


def read(bench: Bench) -> Iterator[Line]:
    """The jobs are executed by each side's own worker; then each side's own web server is asked."""
    clients = {"ours": _with_jobs(bench)}
    if bench.base:
        clients["base"] = _with_jobs(bench, base=bench.base)
        for path in (_LIST, _OF_1000):
            if _results(clients["ours"], path) != _results(clients["base"], path):
                raise AssertionError(f"{path}: the two sides show different results")
    for what, path, target in (
        ("GET a list of 50 jobs with 20 devices of 2 KB each: p50", _LIST, 1.2),
        ("GET one job of 1,000 devices of 2 KB each: p50", _OF_1000, 1.1),
    ):
        found = _medians(bench, {side: (client, path) for side, client in clients.items()})
        yield Line(
            what=what,
            unit="ms",
            ours=found["ours"],
            baseline=found.get("base"),
            against=f"commit {bench.base.commit}" if bench.base else "",
            target=target if bench.base else None,
        )
    found = _medians(bench, {"ours": (clients["ours"], _ONE_OF_5000), "cheapest": (clients["ours"], _CHEAPEST)})
    yield Line(
        what="GET one device of 5,000 with its report: p50",
        unit="ms",
        ours=found["ours"],
        baseline=found["cheapest"],
        against="the same server's cheapest answer to a token",
        target=5.0,
        absolute=True,
    )


def _with_jobs(bench: Bench, *, base: Base | None = None) -> Client:
    database = base.database if base else None
    bench.reset_jobs(base=base)
    platform = bench.platform(base=base)
    for devices, count in _JOBS:
        bench.product("reports", str(devices), str(count), base=base)
    platform.worker("w1", concurrency=1)
    platform.beat()
    count = sum(count for _, count in _JOBS)
    finished = "SELECT count(*) FROM jobs_job WHERE status = 'FINISHED'"
    wait_until(lambda: bench.postgresql.execute(finished, database=database) == [(count,)], timeout=300)
    platform.stop()
    bench.settle()
    return product_client(bench, database=database, base=base)


def _medians(bench: Bench, asked: Mapping[str, tuple[Client, str]]) -> dict[str, Spread]:
    sides = {side: partial(client.times, path) for side, (client, path) in asked.items()}
    return medians(bench.rounds, bench.size(200, 20), sides)


def _results(client: Client, path: str) -> list[Any]:
    return [job["result"] for job in json.loads(client.get(path)[1])["data"]["jobs"]]
