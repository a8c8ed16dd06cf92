"""Beat with many jobs scheduled ahead: what one round of its sender costs, what the process uses, its memory."""

import time
from collections.abc import Iterator
from statistics import median
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, Spread, spread
from benchmarks.memory import own_memory
from jobs.beat.sender import Sender

_AHEAD: Final = """
    INSERT INTO jobs_job (status, scheduled_time, function_name, start_arguments, task_name, queue, priority, parked,
        attempt, retries, rerun_if_lost)
    SELECT 'SCHEDULED', now() + interval '1 day' + n * interval '1 ms', 'noop', '{}', 'benchmarks.bodies.noop',
        'default', 0, false, 0, 0, false
    FROM generate_series(1, %s) AS n
"""


def beat(bench: Bench) -> Iterator[Line]:
    sizes = (100, 10_000, bench.size(1_000_000, 100_000))
    found: dict[int, list[tuple[float, float, float]]] = {size: [] for size in sizes}
    for _ in range(bench.rounds):
        for size in sizes:
            found[size].append(_measured(bench, size))
    for number, (what, unit, target) in enumerate(
        (
            ("a round of Beat's sender (its tick), p50", "ms", 1.2),
            ("processor time of the Beat process", "% of a core", 1.2),
            ("memory of the Beat process", "MB", 1.2),
        )
    ):
        columns: dict[int, Spread] = {size: spread([each[number] for each in found[size]]) for size in sizes}
        for size in sizes[1:]:
            yield Line(
                what=f"{what}, with {size:,} jobs scheduled ahead",
                unit=unit,
                ours=columns[size],
                baseline=columns[sizes[0]],
                against=f"itself at {sizes[0]}",
                target=target,
            )


def _measured(bench: Bench, count: int) -> tuple[float, float, float]:
    bench.reset_jobs()
    bench.postgresql.execute(_AHEAD, count)
    bench.postgresql.execute("VACUUM ANALYZE jobs_job")
    bench.settle()
    sender = Sender(listening=lambda: True)
    ticks = []
    for _ in range(bench.size(500, 100)):
        begun = time.perf_counter()
        sender.step()
        ticks.append(1000 * (time.perf_counter() - begun))
    platform = bench.platform()
    process = platform.beat()
    time.sleep(bench.size(5, 3))  # it has finished starting
    seconds = bench.size(20, 5)
    before = _processor_seconds(process.tree()[0])
    time.sleep(seconds)
    used = _processor_seconds(process.tree()[0]) - before
    memory = own_memory(process.pid)
    platform.stop()
    return median(ticks), 100 * used / seconds, memory / 1e6


def _processor_seconds(process: object) -> float:
    times = process.cpu_times()  # type: ignore[attr-defined]
    return float(times.user + times.system)
