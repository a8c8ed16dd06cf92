"""GET /jobs and GET /job at many jobs, against a bare WSGI view with the best SQL, and against DRF as documented."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from benchmarks.baselines import bare_env
from benchmarks.dataset import BIG_EVERY, big_result, copy_of, many_jobs, running_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, Spread, medians, spread
from benchmarks.memory import peak_memory
from benchmarks.web import Client, bare_server, product_client

API: Final = "/api/v1.0"
BARE: Final = "benchmarks.baselines.web_list"
DRF: Final = "benchmarks.baselines.drf_list.web"


def _dataset(bench: Bench) -> tuple[str, int]:
    count = bench.size(1_000_000, 100_000)
    return many_jobs(bench, count), count


def _server_env(bench: Bench, database: str) -> dict[str, str]:
    return {**bare_env(bench), "BENCH_DATABASE_URL": bench.postgresql.database_url(database)}


def _medians(
    bench: Bench, ours: Client, ours_path: str, other: Client, other_path: str, base: Client | None = None
) -> dict[str, Spread]:
    sides = {"ours": partial(ours.times, ours_path), "other": partial(other.times, other_path)}
    if base:
        sides["base"] = partial(base.times, ours_path)
    return medians(bench.rounds, bench.size(200, 50), sides)


def _rows(client: Client, path: str) -> list[int]:
    return [job["id"] for job in json.loads(client.get(path)[1])["data"]["jobs"]]


def bare(bench: Bench) -> Iterator[Line]:
    database, count = _dataset(bench)
    its_database = many_jobs(bench, count, base=bench.base) if bench.base else ""
    since, until = _range(bench, database, count)
    deep = min(2000, count // 50 - 1)
    narrow = f"filter[finish_time][gte]={since.isoformat()}&filter[finish_time][lt]={until.isoformat()}"
    queries = {
        "first page": ("", "after/0"),
        f"page {deep}": (f"page={deep}", f"after/{(deep - 1) * 50}"),
        "last page": (f"page={count // 50}", f"after/{count - 50}"),
        "sort=-id": ("sort=-id", "newest/"),
        "status=RUNNING": ("filter[status]=RUNNING", "running/RUNNING"),
        "an hour of finish_time": (narrow, f"finished/{since.isoformat()}Z/{until.isoformat()}Z"),
    }
    with ExitStack() as stack:
        stack.enter_context(running_jobs(bench, database))
        other = stack.enter_context(bare_server(bench, BARE, _server_env(bench, database)))
        client, of_base = product_client(bench, database=database), None
        if base := bench.base:
            stack.enter_context(running_jobs(bench, its_database))
            of_base = product_client(bench, database=its_database, base=base)
        for name, (query, path) in queries.items():
            ours_path = f"{API}/jobs?per_page=50&{query}".replace("[", "%5B").replace("]", "%5D")
            if _rows(client, ours_path) != _rows(other, f"/jobs/{path}"):
                raise AssertionError(f"{name}: the two sides show different rows")
            found = _medians(bench, client, ours_path, other, f"/jobs/{path}", of_base)
            what = f"GET /jobs at {count:,} jobs, {name}, 50 rows: p50"
            if base:
                yield base.line(what, "ms", ours=found["ours"], base=found["base"], better="lower")
            yield Line(
                what=what,
                unit="ms",
                ours=found["ours"],
                baseline=found["other"],
                against="a bare WSGI view",
                target=3.0,
            )


def contains(bench: Bench) -> Iterator[Line]:
    database, count = _dataset(bench)
    samples = bench.size(20, 5)
    path = f"{API}/jobs?filter%5Bfunction.name%5D%5Bcontains%5D=sync"
    with bare_server(bench, BARE, _server_env(bench, database)) as other:
        client = product_client(bench, database=database)
        sides = {"ours": partial(client.times, path), "other": partial(other.times, "/jobs/contains/sync")}
        found = medians(bench.rounds, samples, sides)
        totals = [client.get(path)[2]["X-Total-Count"], other.get("/jobs/contains/sync")[2]["X-Total-Count"]]
    if totals[0] != totals[1]:
        raise AssertionError(f"the totals differ: {totals}")
    yield Line(
        what=f"GET /jobs at {count:,} jobs, function.name contains sync: p50",
        unit="ms",
        ours=found["ours"],
        baseline=found["other"],
        against="the bare view, counting too",
        target=1.2,
    )


def drf(bench: Bench) -> Iterator[Line]:
    database, count = _dataset(bench)
    deep = min(2000, count // 50 - 1)
    with bare_server(bench, DRF, _server_env(bench, database)) as other:
        client = product_client(bench, database=database)
        for page in (1, deep):
            found = _medians(bench, client, f"{API}/jobs?page={page}", other, f"/jobs/?page={page}")
            yield Line(
                what=f"GET /jobs at {count:,} jobs, page {page}, 50 rows: p50",
                unit="ms",
                ours=found["ours"],
                baseline=found["other"],
                against="DRF ModelViewSet as documented",
                target=0.2,
            )


def big(bench: Bench) -> Iterator[Line]:
    """50 rows of 40 KB each, and one result of 5 MB; how much the web process's memory grows meanwhile."""
    name, count = _dataset(bench)
    database = copy_of(bench, name)
    huge = _huge_job(bench, database)
    ids = ",".join(str(7 + BIG_EVERY * number) for number in range(1, 51))
    cases = {
        "50 rows with a 40 KB result each": (f"{API}/jobs?filter%5Bid%5D%5Bin%5D={ids}", "/jobs/ids/57/7"),
        "one job with a 5 MB result": (f"{API}/job/{huge}", f"/job/{huge}"),
    }
    for what, (ours_path, other_path) in cases.items():
        with bare_server(bench, BARE, _server_env(bench, database)) as other:
            client = product_client(bench, database=database)
            if len(client.get(ours_path)[1]) < 0.9 * len(other.get(other_path)[1]):
                raise AssertionError(f"{what}: the two sides show different rows")
            found = _medians(bench, client, ours_path, other, other_path)
        yield Line(
            what=f"GET {what}, at {count:,} jobs: p50",
            unit="ms",
            ours=found["ours"],
            baseline=found["other"],
            against="the bare view",
            target=1.5,
        )
        bench.end_processes()
        yield Line(
            what=f"GET {what}: growth of the web process's peak memory",
            unit="responses",
            ours=spread([_growth(bench, database, ours_path) for _ in range(bench.rounds)]),
            target=2.0,
        )


def _growth(bench: Bench, database: str, path: str) -> float:
    """How much the peak memory of the only web process grows with the first such request, in sizes of the response."""
    client = product_client(bench, database=database, env={"CNAASJOBS_WEB_WORKERS": "1"})
    client.get(f"{API}/jobs?per_page=1")
    process = bench.platforms[-1].processes[-1].children()[0].pid
    before = peak_memory(process)
    size = len(client.get(path)[1])
    grown = peak_memory(process) - before
    bench.end_processes()
    return grown / size


def _huge_job(bench: Bench, database: str) -> int:
    """Gives one job a result of 5 MB."""
    job_id = 101
    bench.postgresql.execute(
        "UPDATE jobs_joboutcome SET result = %s WHERE job_id = %s", big_result(5_000_000), job_id, database=database
    )
    return job_id


def _range(bench: Bench, database: str, count: int) -> tuple[datetime, datetime]:
    """An hour in the middle."""
    (middle,) = bench.postgresql.execute(
        "SELECT finish_time AT TIME ZONE 'UTC' FROM jobs_job WHERE id = %s", count // 2, database=database
    )[0]
    return middle, middle + timedelta(hours=1)
