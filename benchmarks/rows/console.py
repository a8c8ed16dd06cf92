"""Each page of the console at many jobs, and of a job with many devices: beside the API's answer with the same rows."""

import json
from collections.abc import Iterator
from functools import partial
from statistics import median
from time import sleep
from typing import Final, NamedTuple

from benchmarks.dataset import copy_of, many_jobs, running_jobs
from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn, medians, spread
from benchmarks.web import Client, cookie, product_client, token

KB: Final = 1000
DEVICES: Final = 5000
TIMES_THE_API: Final = 3.0
HEAVIEST_KB: Final = 150.0
_KEPT_SECONDS: Final = 1.1  # longer than anything is kept that may have changed

_JOB: Final = """
    INSERT INTO jobs_job (
        status, scheduled_time, start_time, finish_time, function_name, scheduled_by, finished_devices, change_score,
        start_arguments, task_name, queue, priority, dispatched_at, parked, attempt, retries, rerun_if_lost, worker
    )
    SELECT 'FINISHED', now() - interval '9 min', now() - interval '8 min', now() - interval '1 min', 'sync_devices',
        'operator', json_agg('sw' || n)::text, 40, '{"all": true, "dry_run": true}', 'devices.tasks.sync_devices',
        'default', 0, now(), false, 1, 0, false, 'w1@host'
    FROM generate_series(1, %s) AS n
    RETURNING id
"""
_OUTCOME: Final = """
    INSERT INTO jobs_joboutcome (job_id, result) SELECT %s,
        '{"devices": {' || string_agg('"sw' || n || '": {"failed": false, "job_tasks": []}', ', ') || '}}'
    FROM generate_series(1, %s) AS n
"""
# One in 50 failed, one in 5 changes.
_ROWS: Final = """
    INSERT INTO jobs_jobdevice (
        job_id, place, host, state, failed, reason, change_score, taken_back, report, step, steps_over, tries, worker,
        start_time, finish_time
    )
    SELECT %s, n - 1, 'sw' || n, 'DONE', n %% 50 = 0, CASE WHEN n %% 50 = 0 THEN 'ConnectionException: no route' END,
        CASE WHEN n %% 5 = 0 THEN n %% 101 ELSE 0 END, false, replace(%s, 'HOST', 'sw' || n), 'commit', 0, 0, 'w1@host',
        now() - interval '8 min', now() - interval '2 min'
    FROM generate_series(1, %s) AS n
"""


class Page(NamedTuple):
    path: str
    api: str = ""  # the same rows; empty: the API has no such answer


def pages_at(job_id: int, newest: int) -> dict[str, Page]:
    api = "/api/v1.0"
    failed = f"{api}/jobs?sort=-id&per_page=50&filter%5Bstatus%5D=EXCEPTION"
    # The console's pages go by id, not by number: nobody walks there.
    before = f"{api}/jobs?sort=-id&per_page=50&filter%5Bid%5D%5Blt%5D={newest // 2}"
    return {
        "jobs": Page("/jobs", f"{api}/jobs?sort=-id&per_page=50"),
        "jobs that failed": Page("/jobs?q=status%3Aexception", failed),
        "jobs in the middle": Page(f"/jobs?before={newest // 2}", before),
        "jobs by two words that few have": Page("/jobs?q=change+NOC-4711"),
        "jobs of a device": Page("/jobs?q=device%3Aeosdist7"),
        f"a job of {DEVICES:,} devices": Page(f"/jobs/{job_id}", f"{api}/job/{job_id}/devices?per_page=100"),
        "devices": Page("/devices"),
        "a device": Page("/devices/sw7"),
        "locks": Page("/locks", f"{api}/locks"),
        "timeline": Page("/timeline"),
        "schedules": Page("/schedules"),
        "workers": Page("/workers"),
    }


def pages(bench: Bench) -> Iterator[Line]:
    count = bench.size(1_000_000, 100_000)
    database = copy_of(bench, many_jobs(bench, count))
    job_id, newest = job_of_many(bench, database)
    samples, firsts = bench.size(40, 10), bench.size(10, 3)
    with running_jobs(bench, database):
        server = product_client(bench, database=database)
        console = server.with_headers(cookie(bench, database, name="operator"))
        api = server.with_headers({"Authorization": f"Bearer {token(bench, database, name='operator')}"})
        for name, page in pages_at(job_id, newest).items():
            sides = {"console": partial(console.times, page.path)}
            if page.api:
                sides["api"] = partial(api.times, page.api)
            found = medians(bench.rounds, samples, sides)
            yield Line(
                what=f"console, {name}, at {count:,} jobs: p50",
                unit="ms",
                ours=found["console"],
                baseline=found.get("api"),
                against="the API's answer with the same rows" if page.api else "",
                target=TIMES_THE_API if page.api else None,
            )
            if page.api:
                first = in_turn(
                    bench.rounds,
                    {
                        "console": partial(_of_the_first, console, page.path, firsts),
                        "api": partial(_of_the_first, api, page.api, firsts),
                    },
                )
                what = f"console, {name}, at {count:,} jobs, who looks first in a second: p50"
                yield Line(
                    what=what,
                    unit="ms",
                    ours=first["console"],
                    baseline=first["api"],
                    against="the API's answer with the same rows after the same pause",
                    target=TIMES_THE_API,
                )
                yield Line(
                    what=what,
                    unit="ms",
                    ours=first["console"],
                    baseline=found["api"],
                    against="the API's answer with the same rows without a pause",
                )
            weight = len(console.get(page.path)[1]) / KB
            yield Line(what=f"console, {name}: the page", unit="KB", ours=spread([weight]), target=HEAVIEST_KB)


def _of_the_first(client: Client, path: str, samples: int) -> float:
    """The median of requests that come after everything kept that may have changed has expired.

    A server that has had nothing to do for a second answers any request more slowly, the API's too: the processor's
    caches have gone cold. So both sides are asked after the same pause.
    """

    def after_a_pause() -> float:
        sleep(_KEPT_SECONDS)
        return 1000 * client.get(path)[0]

    return median(after_a_pause() for _ in range(samples))


def job_of_many(bench: Bench, database: str) -> tuple[int, int]:
    """Its id, and the newest of all."""

    def execute(sql: str, *parameters: object) -> list[tuple[object, ...]]:
        return bench.postgresql.execute(sql, *parameters, database=database)

    ((job_id,),) = execute(_JOB, DEVICES)
    lines = "".join(f"+interface Ethernet{n}\n+ description to-HOST-{n}\n" for n in range(20))
    tasks = [{"diff": f"@@ -1,1 +1,40 @@\n{lines}", "failed": False, "result": None, "task_name": "Sync device config"}]
    execute(_OUTCOME, job_id, DEVICES)
    execute(_ROWS, job_id, json.dumps({"failed": False, "job_tasks": tasks}), DEVICES)
    execute("ANALYZE jobs_jobdevice")
    ((newest,),) = execute("SELECT max(id) FROM jobs_job")
    return int(str(job_id)), int(str(newest))
