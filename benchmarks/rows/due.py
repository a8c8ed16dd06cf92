"""Jobs that fall due: how late their bodies start, and how long 100,000 due at one instant take to be published."""

import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from benchmarks import bodies
from benchmarks.baselines import bare_env, django_db_env
from benchmarks.environment import Bench, python
from benchmarks.measure import Line, in_turn, percentile, spread
from benchmarks.rows.sides import celery_worker, wait_for
from jobs.dispatch import scheduling
from jobs.models import Job, JobOutcome
from jobs.states import Status
from tests.waiting import wait_until

_SPAN_SECONDS: Final = 20.0
_AHEAD_SECONDS: Final = 4.0  # posted, all of them, at least 2 s ahead


def lateness(bench: Bench) -> Iterator[Line]:
    """500 jobs due over 20 s."""
    count = bench.size(500, 100)
    sides = {
        "ours": lambda due: _ours(bench, due),
        "Celery eta": lambda due: _eta(bench, due),
        "ClockedSchedule": lambda due: _clocked(bench, due),
    }
    found = _rounds(bench, sides, lambda: _due_times(count, _AHEAD_SECONDS, _SPAN_SECONDS))
    yield from _lines(f"{count} jobs due over {_SPAN_SECONDS:g} s: start after the due time", found, (10, 100))


def lone(bench: Bench) -> Iterator[Line]:
    """A quiet system: one job at a time, posted 1 s and 0.2 s ahead."""
    count = bench.size(40, 10)
    platform = _product(bench)
    ours = [[_lone(ahead) for _ in range(count) for ahead in (1.0, 0.2)] for _ in range(bench.rounds)]
    platform()
    clocked = [_clocked(bench, None) for _ in range(bench.rounds)]
    found = {"ours": ours, "ClockedSchedule": clocked}
    yield from _lines("lone jobs posted 1 s and 0.2 s ahead: start after the due time", found, (15, 100))


def _lines(what: str, found: dict[str, list[list[float]]], bounds: tuple[float, float]) -> Iterator[Line]:
    for name in list(found)[1:]:
        for share, bound in zip((0.5, 0.99), bounds, strict=True):
            yield Line(
                what=f"{what}, p{share * 100:g}",
                unit="ms",
                ours=spread([percentile(values, share) for values in found["ours"]]),
                baseline=spread([percentile(values, share) for values in found[name]]),
                against=name,
                target=bound,
                absolute=True,
            )
    earliest = [-min(values) for values in found["ours"]]
    yield Line(what=f"{what}: earliest start before it", unit="ms", ours=spread(earliest), target=0, note="never early")


def _rounds(
    bench: Bench, sides: dict[str, Callable[[list[float]], list[float]]], times: Callable[[], list[float]]
) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {name: [] for name in sides}
    for _ in range(bench.rounds):
        for name, side in sides.items():
            bench.settle()
            found[name].append(side(times()))
            bench.end_processes()
    return found


def _due_times(count: int, ahead: float, span: float) -> list[float]:
    first = time.time() + ahead
    chance = random.Random(1)
    return sorted(first + chance.uniform(0, span) for _ in range(count))


def _product(bench: Bench) -> Callable[[], None]:
    bench.reset_jobs()
    platform = bench.platform()
    platform.worker()
    platform.beat()
    bodies.started_at.schedule()
    wait_until(lambda: Job.objects.filter(status=Status.FINISHED.value).exists(), timeout=60)
    Job.objects.all().delete()
    return platform.stop


def _ours(bench: Bench, due: list[float]) -> list[float]:
    stop = _product(bench)
    shift = time.time() + _AHEAD_SECONDS - due[0]  # the processes took their time to start
    due = [each + shift for each in due]
    jobs = [scheduling.schedule(bodies.started_at, {}, at=datetime.fromtimestamp(each, UTC)) for each in due]
    wait_until(lambda: not Job.objects.exclude(status=Status.FINISHED.value).exists(), timeout=120, interval=0.5)
    stop()
    results = dict(JobOutcome.objects.filter(job__in=jobs).values_list("job_id", "result"))
    started = [json.loads(results[job.pk] or "")["started"] for job in jobs]
    return [1000 * (start - each) for start, each in zip(started, due, strict=True)]


def _lone(ahead: float) -> float:
    due = time.time() + ahead
    job = scheduling.schedule(bodies.started_at, {}, at=datetime.fromtimestamp(due, UTC))
    wait_until(lambda: Job.objects.filter(pk=job.pk, status=Status.FINISHED.value).exists(), timeout=30)
    started: float = json.loads(JobOutcome.objects.get(pk=job.pk).result or "")["started"]
    return 1000 * (started - due)


def _eta(bench: Bench, due: list[float]) -> list[float]:
    env = bare_env(bench)
    bench.run(python("benchmarks.baselines.bare", "fill", "0"), env=env)
    bench.start("bare", celery_worker("benchmarks.baselines.bare"), env=env, ready=" ready.")
    shift = time.time() + _AHEAD_SECONDS - due[0]
    due = [each + shift for each in due]
    bench.run(python("benchmarks.baselines.bare", "eta", json.dumps(due)), env=env)
    wait_for(bench, "bare", "SELECT count(*) FROM bare_job WHERE status = 'FINISHED'", len(due))
    rows = bench.postgresql.execute("SELECT result FROM bare_job ORDER BY id", database="bare")
    return [1000 * (float(result) - each) for (result,), each in zip(rows, due, strict=True)]


def _clocked(bench: Bench, due: list[float] | None) -> list[float]:
    """By ClockedSchedule rows; without times, lone ones 1 s and 0.2 s ahead."""
    app = "benchmarks.baselines.django_db.app"
    env = django_db_env(bench)
    bench.start("django_db", celery_worker(app), env=env, ready=" ready.")
    beat = python("celery", "-A", app, "beat", "--loglevel", "INFO", "--pidfile=")
    bench.start("clocked", beat, env=env, ready="beat: Starting")
    if due is None:
        printed = bench.run(python(app, "lone", str(bench.size(5, 2))), env=env)
    else:
        shift = time.time() + 2 * _AHEAD_SECONDS - due[0]
        printed = bench.run(python(app, "clocked", json.dumps([each + shift for each in due])), env=env)
    bench.end_processes()
    return [1000 * each for each in json.loads(printed)]


_INSERT: Final = """
    INSERT INTO jobs_job (status, scheduled_time, function_name, start_arguments, task_name, queue, priority, parked,
        attempt, retries, rerun_if_lost)
    SELECT 'SCHEDULED', %s, 'noop', '{}', 'benchmarks.bodies.noop', 'default', 0, false, 0, 0, false
    FROM generate_series(1, %s)
"""


def at_once(bench: Bench) -> Iterator[Line]:
    """100,000 jobs due at one instant, against a bare publish of as many with confirms."""
    count = bench.size(100_000, 5000)
    found = in_turn(bench.rounds, {"ours": lambda: _publish(bench, count), "bare": lambda: _bare_publish(bench, count)})
    yield Line(
        what=f"{count:,} jobs due at one instant: until the last is published",
        unit="s",
        ours=found["ours"],
        baseline=found["bare"],
        against="a bare publish of as many, 1,000 between two waits for confirms",
        target=1.5,
    )


def _publish(bench: Bench, count: int) -> float:
    bench.reset_jobs()
    due = time.time() + bench.size(12, 5)
    bench.postgresql.execute(_INSERT, datetime.fromtimestamp(due, UTC), count)
    bench.postgresql.execute("VACUUM ANALYZE jobs_job")
    bench.settle()
    platform = bench.platform()
    platform.beat()
    if time.time() > due:
        raise AssertionError("the jobs were due before Beat was there")
    left = "SELECT count(*) FROM (SELECT 1 FROM jobs_job WHERE dispatched_at IS NULL LIMIT 1) AS one"
    wait_until(lambda: bench.postgresql.execute(left) == [(0,)], timeout=600, interval=0.05)
    wait_until(lambda: bench.depth("default") >= count, timeout=60, interval=0.02)
    seconds = time.time() - due
    platform.stop()
    bench.purge("default")
    return seconds


def _bare_publish(bench: Bench, count: int) -> float:
    bench.purge("bare")
    printed = bench.run(python("benchmarks.baselines.bare", "publish", str(count)), env=bare_env(bench))
    bench.purge("bare")
    return float(printed)
