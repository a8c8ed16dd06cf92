"""What keeping a job's log costs: a job over many devices that logs five lines of each, kept or not, in turn."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn
from tests.waiting import wait_until

LINES: Final = 5
TARGET: Final = 1.03


def cost(bench: Bench) -> Iterator[Line]:
    count = bench.size(1000, 300)
    found = in_turn(
        bench.rounds,
        {level: partial(_seconds, bench, count, level=level) for level in ("INFO", "CRITICAL")},
    )
    yield Line(
        what=f"a job over {count:,} devices of 50 ms, 50 at a time, {LINES} lines of log each",
        unit="s",
        ours=found["INFO"],
        baseline=found["CRITICAL"],
        against="none of them kept",
        target=TARGET,
    )


def _seconds(bench: Bench, devices: int, *, level: str) -> float:
    bench.reset_jobs()
    bench.settle()
    platform = bench.platform(env={"CNAASJOBS_JOB_LOG_LEVEL": level})
    try:
        platform.beat()
        platform.worker(concurrency=1)
        _run(bench, 50)  # the child is warm from here on
        return _run(bench, devices)
    finally:
        platform.stop()


def _run(bench: Bench, devices: int) -> float:
    from benchmarks.fleet_bodies import talkative

    job = talkative.schedule(devices=devices, lines=LINES)
    times = f"SELECT status, extract(epoch FROM finish_time - start_time) FROM jobs_job WHERE id = {job.pk}"
    ((status, seconds),) = wait_until(
        lambda: [row for row in bench.postgresql.execute(times) if row[1] is not None], timeout=300, interval=0.1
    )
    if status != "FINISHED":
        raise AssertionError(f"the job ended as {status}")
    return float(seconds)
