"""From a POST to its body's start on an idle system, and from the end of a lock's holder to the next one's start."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import bodies
from benchmarks.baselines import bare_env, guarded_env
from benchmarks.environment import Bench
from benchmarks.measure import Line, percentile, spread
from benchmarks.rows.sides import celery_worker
from benchmarks.web import Client, bare_server, product_client
from jobs.models import Job, JobOutcome
from jobs.states import Status
from tests.waiting import wait_until

_HOST: Final = "access1"
_PAUSE_SECONDS: Final = 0.05  # idle: whatever the job before left to do is done


def idle(bench: Bench) -> Iterator[Line]:
    """POST /device_syncto with production's settings and a token, up to the start of its body in the worker."""
    samples = bench.size(200, 30)
    host = _host()
    ours: list[list[float]] = []
    bare: list[list[float]] = []
    guarded: list[list[float]] = []
    bench.reset_jobs()
    starts = bench.directory / "starts"
    client = product_client(bench)
    bench.platforms[-1].beat()
    bench.platforms[-1].worker(env={"BENCH_STARTS": str(starts)})
    env, guarded_by = bare_env(bench), guarded_env(bench)
    workers = [
        bench.start("bare", celery_worker("benchmarks.baselines.bare"), env=env, ready=" ready."),
        bench.start("guarded", celery_worker("benchmarks.baselines.guarded"), env=guarded_by, ready=" ready."),
    ]
    try:
        with (
            bare_server(bench, "benchmarks.baselines.web_post", env) as other,
            bare_server(bench, "benchmarks.baselines.web_guarded", guarded_by) as third,
        ):
            for _ in range(bench.rounds):
                ours.append(_ours(client, samples, starts, host))
                bare.append(_times(other, samples, lambda job_id: _bare_start(bench, job_id)))
                guarded.append(_times(third, samples, lambda job_id: _guarded_start(bench, job_id)))
    finally:
        for worker in workers:
            worker.stop()
    baseline = {share: spread([percentile(values, share) for values in bare]) for share in (0.5, 0.99)}
    for share, target in ((0.5, 1.3), (0.99, 1.5)):
        yield Line(
            what=f"idle system: POST sent to body started, {samples} samples: p{share * 100:g}",
            unit="ms",
            ours=spread([percentile(values, share) for values in ours]),
            baseline=baseline[share],
            against="INSERT + publish in a bare Django view, a bare Celery task",
            target=target,
        )
    for share, values in baseline.items():
        yield Line(
            what=f"the promises alone: POST sent to body started, by the product's statements in a bare view and task:"
            f" p{share * 100:g}",
            unit="ms",
            ours=spread([percentile(each, share) for each in guarded]),
            baseline=values,
            against="INSERT + publish in a bare Django view, a bare Celery task",
        )


def _host() -> str:
    from devices import inventory

    return next(iter(inventory.nornir().inventory.hosts))


def _ours(client: Client, samples: int, starts: Path, host: str) -> list[float]:
    found = []
    for number in range(samples + 5):
        sent = time.time()
        _, answer = client.post("/api/v1.0/device_syncto", {"hostname": host, "dry_run": True})
        job_id = answer["job_id"]
        _wait_for_end(job_id)
        if number >= 5:  # what comes first warms up
            found.append(1000 * (_start_of(starts, job_id) - sent))
        time.sleep(_PAUSE_SECONDS)
    return found


def _wait_for_end(job_id: int) -> None:
    wait_until(lambda: Job.objects.filter(pk=job_id, finish_time__isnull=False).exists(), interval=0.01)


def _bare_start(bench: Bench, job_id: int) -> float:
    query = "SELECT result FROM bare_job WHERE id = %s AND status = 'FINISHED'"
    rows = wait_until(lambda: bench.postgresql.execute(query, job_id, database="bare"), interval=0.01)
    return float(rows[0][0])


def _start_of(starts: Path, job_id: int) -> float:
    for line in reversed(starts.read_text().splitlines()):
        number, started = line.split()
        if int(number) == job_id:
            return float(started)
    raise AssertionError(f"job {job_id} left no start")


def _guarded_start(bench: Bench, job_id: int) -> float:
    query = "SELECT result::json ->> 'started' FROM jobs_joboutcome WHERE job_id = %s"
    rows = wait_until(lambda: bench.postgresql.execute(query, job_id), interval=0.01)
    return float(rows[0][0])


def _times(client: Client, samples: int, start_of: Callable[[int], float]) -> list[float]:
    """Milliseconds from each POST to its task's start."""
    found = []
    for number in range(samples + 5):
        sent = time.time()
        _, answer = client.post("/schedule", {})
        started = start_of(answer["job_id"])
        if number >= 5:
            found.append(1000 * (started - sent))
        time.sleep(_PAUSE_SECONDS)
    return found


def handover(bench: Bench) -> Iterator[Line]:
    """Jobs in line for one lock: from the end of one body to the start of the next; against lone plain jobs."""
    count = bench.size(200, 30)
    held: list[float] = []
    plain: list[float] = []
    for _ in range(bench.rounds):
        bench.reset_jobs()
        platform = bench.platform()
        platform.beat()
        platform.worker()
        plain.append(median(_plain(count)))
        held.append(median(_held(count)))
        platform.stop()
    yield Line(
        what="lock handed from a finishing job to the next in line: p50",
        unit="ms",
        ours=spread(held),
        baseline=spread(plain),
        against="a plain job's start: schedule called to body started",
        target=2.0,
    )


def _plain(count: int) -> list[float]:
    found = []
    for number in range(count + 5):
        sent = time.time()
        job = bodies.started_at.schedule()
        started = _result(job.pk)["started"]
        if number >= 5:
            found.append(1000 * (started - sent))
        time.sleep(_PAUSE_SECONDS)
    return found


def _held(count: int) -> list[float]:
    jobs = bodies.started_at_locked.schedule_many([{}] * count)
    wait_until(lambda: not Job.objects.exclude(status=Status.FINISHED.value).exists(), timeout=300)
    results = [_result(job.pk) for job in jobs]
    return [1000 * (after["started"] - before["ended"]) for before, after in pairwise(results)]


def _result(job_id: int) -> dict[str, float]:
    def stored() -> str | None:
        return JobOutcome.objects.filter(job_id=job_id).values_list("result", flat=True).first()

    result: dict[str, float] = json.loads(wait_until(stored, interval=0.005) or "")
    return result
