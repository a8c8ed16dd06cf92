"""Sides of the execute rows: a queue is filled, then a worker with two slots empties it.

The rate is computed from the database's times, from the first start to the last end, so it excludes the worker's own
start.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from benchmarks import bodies
from benchmarks.base import Base
from benchmarks.baselines import bare_env, django_db, django_db_env, guarded_env
from benchmarks.environment import ROOT, Bench, python
from benchmarks.peers import procrastinate_python
from tests.services.processes import Platform
from tests.waiting import wait_until

TIMEOUT: Final = 900.0
CONCURRENCY: Final = "2"


def ours(
    bench: Bench, count: int, kind: str = "noop", *, base: Base | None = None, env: Mapping[str, str] | None = None
) -> float:
    """Jobs per second of the product, or of another commit's: a worker and Beat, as in production."""
    bench.reset_jobs(base=base)
    bench.product("fill", kind, str(count), base=base, env=env)
    bench.settle()
    platform = bench.platform(base=base, env=env)
    try:
        platform.beat()
        return drain(bench, platform, count, database=base.database if base else None)
    finally:
        platform.stop()


def drain(bench: Bench, platform: Platform, count: int, *, database: str | None = None) -> float:
    """Jobs per second of the newest ``count`` jobs, which wait; a worker is started for them."""
    platform.worker(concurrency=int(CONCURRENCY), wait=False)
    return _drained(bench, count, database=database)


def guarded(bench: Bench, count: int) -> float:
    """The same jobs and messages, by the product's two statements in a bare task."""
    bench.reset_jobs()
    bodies.noop.schedule_many([{}] * count)
    bench.settle()
    argv = celery_worker("benchmarks.baselines.guarded", queue=bodies.noop.app.conf.task_default_queue)
    worker = bench.start("guarded", argv, env=guarded_env(bench))
    try:
        return _drained(bench, count)
    finally:
        worker.stop()


def _drained(bench: Bench, count: int, *, database: str | None = None) -> float:
    """Jobs per second of the newest ``count`` of the product's jobs, once all of them are finished."""
    newest = f"id > (SELECT max(id) FROM jobs_job) - {count}"
    unfinished = f"SELECT count(*) FROM jobs_job WHERE status IN ('SCHEDULED', 'RUNNING') AND {newest}"
    execute = partial(bench.postgresql.execute, database=database)
    wait_until(lambda: bench.all_run() and execute(unfinished) == [(0,)], timeout=TIMEOUT, interval=0.5)
    times = "SELECT extract(epoch FROM max(finish_time) - min(start_time)), count(*) FROM jobs_job"
    seconds, finished = execute(f"{times} WHERE status = 'FINISHED' AND {newest}")[0]
    if finished != count:
        raise AssertionError(f"{finished} of {count} jobs finished")
    return count / float(seconds)


def bare(bench: Bench, count: int) -> float:
    env = bare_env(bench)
    bench.purge("bare")
    bench.run(python("benchmarks.baselines.bare", "fill", str(count)), env=env)
    bench.settle()
    worker = bench.start("bare", celery_worker("benchmarks.baselines.bare"), env=env)
    try:
        wait_for(bench, "bare", "SELECT count(*) FROM bare_job WHERE status = 'FINISHED'", count)
    finally:
        worker.stop()
    times = "SELECT extract(epoch FROM max(finish_time) - min(start_time)) FROM bare_job"
    return count / float(bench.postgresql.execute(times, database="bare")[0][0])


def with_django_db(bench: Bench, count: int, *, reuse: int = 0) -> float:
    """As its documentation sets it up; with ``reuse``, tuned by ``CELERY_DB_REUSE_MAX``."""
    app = f"{django_db.__name__}.app"
    env = {**django_db_env(bench), "BENCH_REUSE": str(reuse or "")}
    bench.postgresql.execute("TRUNCATE django_celery_results_taskresult RESTART IDENTITY", database="django_db")
    bench.purge("django_db")
    bench.run(python(app, "fill", str(count)), env=env)
    bench.settle()
    worker = bench.start("django_db", celery_worker(app), env=env)
    try:
        finished = "SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'"
        wait_for(bench, "django_db", finished, count)
    finally:
        worker.stop()
    times = "SELECT extract(epoch FROM max(date_done) - min(date_started)) FROM django_celery_results_taskresult"
    return count / float(bench.postgresql.execute(times, database="django_db")[0][0])


def procrastinate(bench: Bench, count: int) -> float:
    script = [str(procrastinate_python()), str(ROOT / "benchmarks/baselines/procrastinate_peer.py")]

    def prepare(url: str) -> None:
        bench.run([*script, "fill", "0"], env={"BENCH_DATABASE_URL": url})

    env = {"BENCH_DATABASE_URL": bench.database("procrastinate", prepare)}
    bench.run([*script, "fill", str(count)], env=env)
    bench.settle()
    bench.run([*script, "work"], env=env)
    started = "SELECT min(at) FROM procrastinate_events WHERE type = 'started'"
    times = f"SELECT extract(epoch FROM max(at) - ({started})), count(*) FROM procrastinate_events"
    seconds, finished = bench.postgresql.execute(f"{times} WHERE type = 'succeeded'", database="procrastinate")[0]
    if finished != count:
        raise AssertionError(f"{finished} of {count} procrastinate jobs succeeded")
    return count / float(seconds)


def wait_for(bench: Bench, database: str, count_sql: str, count: int) -> None:
    """Until the query answers with this number."""
    done = [(count,)]
    wait_until(lambda: bench.postgresql.execute(count_sql, database=database) == done, timeout=TIMEOUT, interval=0.5)


def celery_worker(app: str, *, queue: str | None = None) -> list[str]:
    queues = ["--queues", queue] if queue else []
    name = f"{app.split('.')[2]}@%h"  # two workers of one name can't listen for remote control
    options = ["--concurrency", CONCURRENCY, "--loglevel", "INFO", "--hostname", name, *queues]
    return python("celery", "-A", app, "worker", *options)
