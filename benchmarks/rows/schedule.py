"""Scheduling: one by one against a bare INSERT and publish, and many at once against one by one."""

import json
from collections.abc import Iterator

from benchmarks.baselines import bare_env
from benchmarks.environment import Bench, python
from benchmarks.measure import Line, in_turn, spread


def one_by_one(bench: Bench) -> Iterator[Line]:
    count = bench.size(5000, 500)
    found = in_turn(
        bench.rounds,
        {"ours": lambda: count / _ours(bench, "one_by_one", count)["seconds"], "bare": lambda: _bare(bench, count)},
    )
    yield Line(
        what="schedule jobs one by one: row and confirmed message",
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
    committed, confirmed, single = [], [], []
    for _ in range(bench.rounds):
        single.append(singles / _ours(bench, "one_by_one", singles)["seconds"])
        found = _ours(bench, "many", count)
        committed.append(count / found["committed"])
        confirmed.append(count / found["confirmed"])
    for what, values, target in (
        ("all rows are committed", committed, 8),
        ("the last message is confirmed", confirmed, 2),
    ):
        yield Line(
            what=f"schedule_many of {count:,}, until {what}",
            unit="jobs/s",
            ours=spread(values),
            baseline=spread(single),
            against="one by one",
            better="higher",
            target=target,
        )


def _ours(bench: Bench, command: str, count: int) -> dict[str, float]:
    bench.reset_jobs()
    bench.settle()
    found: dict[str, float] = json.loads(bench.product(command, str(count)))
    bench.purge("default")
    return found


def _bare(bench: Bench, count: int) -> float:
    bench.purge("bare")
    bench.settle()
    printed = bench.run(python("benchmarks.baselines.bare", "schedule", str(count)), env=bare_env(bench))
    bench.purge("bare")
    return count / float(printed)
