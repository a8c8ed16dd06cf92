"""A dry run and a live sync of lab devices with 50 ms each, 50 at a time; time, database writes, memory."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.baselines.plain_sync import render_and_diff
from benchmarks.environment import Bench
from benchmarks.measure import Line, spread
from benchmarks.memory import own_memory
from benchmarks.rows import lab as devices

DELAY_SECONDS: Final = 0.05
AT_A_TIME: Final = 50


def sync(bench: Bench) -> Iterator[Line]:
    with TemporaryDirectory(prefix="cnaasjobs-bench-", dir=devices.MEMORY) as lab:
        yield from _sync(bench, Path(lab))


def _sync(bench: Bench, lab: Path) -> Iterator[Line]:
    sizes = (10, 100, bench.size(1000, 300))
    memory: dict[int, list[float]] = {}
    for size in sizes:
        inventory = devices.inventory(bench, str(size), [DELAY_SECONDS] * size, at_a_time=AT_A_TIME)
        seconds: dict[str, list[float]] = {"dry run": [], "live sync": []}
        floor: list[float] = []
        writes: list[float] = []
        for _ in range(bench.rounds):
            platform, (worker,) = devices.start(bench, inventory, lab, [1])
            child = worker.children()[0].pid
            devices.run(bench, dry_run=True)  # the inventory is warm from here on
            for what, found in seconds.items():
                bench.settle()
                bench.postgresql.execute("SELECT pg_stat_statements_reset()")
                found.append(devices.run(bench, dry_run=what == "dry run"))
                writes.append(_writes(bench) - found[-1] / 2)
            memory.setdefault(size, []).append(own_memory(child) / 1e6)
            platform.stop()
            work = min(render_and_diff(inventory, devices.LAB / "templates" / "lab") for _ in range(3))
            floor.append(max(size * DELAY_SECONDS / AT_A_TIME, work))
        for what, found in seconds.items():
            yield Line(
                what=f"{what} of {size:,} devices",
                unit="s",
                ours=spread(found),
                baseline=spread(floor),
                against="the larger of the delays' sum over 50 and a plain loop's CPU time",
                target=1.3 if size == sizes[-1] else None,
            )
        yield Line(
            what=f"a sync of {size:,} devices: database writes beyond one per 2 s", unit="rows", ours=spread(writes)
        )
    for size in sizes:
        yield Line(what=f"memory of the worker's child, {size:,} devices", unit="MB", ours=spread(memory[size]))


def _writes(bench: Bench) -> float:
    """Statements that changed the jobs' and devices' tables since the last reset."""
    (calls,) = bench.postgresql.execute(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
        " WHERE rows > 0 AND query ~* '(INSERT INTO|UPDATE|DELETE FROM) \"?(jobs_job|devices_)'"
    )[0]
    return float(calls)
