"""Scheduling: one by one against a bare INSERT and publish, and many at once against one by one."""

import json
from collections import defaultdict
from collections.abc import Iterator

from benchmarks.base import Base
from benchmarks.baselines import bare_env
from benchmarks.environment import Bench, python
from benchmarks.measure import Line, in_turn, spread


def one_by_one(bench: Bench) -> Iterator[Line]:
    count = bench.size(5000, 500)
    sides = {
        "ours": lambda: count / _ours(bench, "one_by_one", count)["seconds"],
        "bare": lambda: _bare(bench, count),
    }
    if base := bench.base:
        sides["base"] = lambda: count / _ours(bench, "one_by_one", count, base=base)["seconds"]
    found = in_turn(bench.rounds, sides)
    what = "schedule jobs one by one: row and confirmed message"
    if base:
        yield base.line(what, "jobs/s", ours=found["ours"], base=found["base"], better="higher")
    yield Line(
        what=what,
        unit="jobs/s",
        ours=found["ours"],
        baseline=found["bare"],
        against="INSERT + bare Celery publish",
        better="higher",
        target=0.9,
    )


def many(bench: Bench) -> Iterator[Line]:
    count = bench.size(10_000, 2000)
    singles = bench.size(2000, 300)
    single: list[float] = []
    samples: dict[tuple[str, Base | None], list[float]] = defaultdict(list)
    for number in range(bench.rounds):
        single.append(singles / _ours(bench, "one_by_one", singles)["seconds"])
        products = [None, bench.base] if bench.base else [None]
        for base in products if number % 2 == 0 else products[::-1]:
            found = _ours(bench, "many", count, base=base)
            for moment in ("committed", "confirmed"):
                samples[moment, base].append(count / found[moment])
    for moment, until, target in (
        ("committed", "all rows are committed", 8),
        ("confirmed", "the last message is confirmed", 2),
    ):
        what, ours = f"schedule_many of {count:,}, until {until}", spread(samples[moment, None])
        if base := bench.base:
            yield base.line(what, "jobs/s", ours=ours, base=spread(samples[moment, base]), better="higher")
        yield Line(
            what=what,
            unit="jobs/s",
            ours=ours,
            baseline=spread(single),
            against="one by one",
            better="higher",
            target=target,
        )


def _ours(bench: Bench, command: str, count: int, *, base: Base | None = None) -> dict[str, float]:
    bench.reset_jobs(base=base)
    bench.settle()
    found: dict[str, float] = json.loads(bench.product(command, str(count), base=base))
    bench.purge("default")
    return found


def _bare(bench: Bench, count: int) -> float:
    bench.purge("bare")
    bench.settle()
    printed = bench.run(python("benchmarks.baselines.bare", "schedule", str(count)), env=bare_env(bench))
    bench.purge("bare")
    return count / float(printed)
