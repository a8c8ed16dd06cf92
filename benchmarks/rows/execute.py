"""Queued no-op jobs: how many a second, against Celery with django-db, a bare loop, and procrastinate."""

from collections.abc import Callable, Iterator, Mapping

from benchmarks import bodies
from benchmarks.environment import Bench
from benchmarks.measure import Line, Spread, in_turn
from benchmarks.rows import sides


def _of_ours(bench: Bench, count: int, kind: str) -> dict[str, Callable[[], float]]:
    """Our side, and another commit's where one is asked for."""
    sides_of = {"ours": lambda: sides.ours(bench, count, kind)}
    if base := bench.base:
        sides_of["base"] = lambda: sides.ours(bench, count, kind, base=base)
    return sides_of


def _against_base(bench: Bench, what: str, found: Mapping[str, Spread]) -> Iterator[Line]:
    if bench.base:
        yield bench.base.line(what, "jobs/s", ours=found["ours"], base=found["base"], better="higher")


def execute(bench: Bench) -> Iterator[Line]:
    count = bench.size(10_000, 1000)
    found = in_turn(
        bench.rounds,
        {
            **_of_ours(bench, count, "noop"),
            "django-db": lambda: sides.with_django_db(bench, count),
            "django-db, CELERY_DB_REUSE_MAX": lambda: sides.with_django_db(bench, count, reuse=10**9),
            "bare loop": lambda: sides.bare(bench, count),
            "procrastinate": lambda: sides.procrastinate(bench, count),
            "guarded": lambda: sides.guarded(bench, count),
        },
    )
    targets = {"django-db": 3.0, "django-db, CELERY_DB_REUSE_MAX": 1.4, "bare loop": 0.8, "procrastinate": 1.0}
    for name, target in targets.items():
        yield Line(
            what=f"execute {count:,} queued no-op jobs",
            unit="jobs/s",
            ours=found["ours"],
            baseline=found[name],
            against=name,
            better="higher",
            target=target,
        )
    yield from _against_base(bench, f"execute {count:,} queued no-op jobs", found)
    yield Line(
        what=f"the promises alone: {count:,} no-op jobs by the product's two statements in a bare task",
        unit="jobs/s",
        ours=found["guarded"],
        baseline=found["bare loop"],
        against="bare loop",
        better="higher",
    )


def locked(bench: Bench) -> Iterator[Line]:
    count = bench.size(10_000, 1000)
    found = in_turn(
        bench.rounds,
        {
            **_of_ours(bench, count, "locked"),
            "none": lambda: sides.ours(bench, count),
        },
    )
    what = f"execute {count:,} queued no-op jobs with a lock, free each time"
    yield from _against_base(bench, what, found)
    yield Line(
        what=what,
        unit="jobs/s",
        ours=found["ours"],
        baseline=found["none"],
        against="no lock",
        better="higher",
        target=0.7,
    )


def devices(bench: Bench) -> Iterator[Line]:
    count = bench.size(10_000, 1000)
    found = in_turn(
        bench.rounds,
        {
            **_of_ours(bench, count, "devices"),
            "none": lambda: sides.ours(bench, count),
        },
    )
    what = f"execute {count:,} queued no-op jobs that report {len(bodies.DEVICES)} devices"
    yield from _against_base(bench, what, found)
    yield Line(
        what=what,
        unit="jobs/s",
        ours=found["ours"],
        baseline=found["none"],
        against="no devices",
        better="higher",
        target=0.9,
    )
