"""Queued no-op jobs: how many a second, against Celery with django-db, a bare loop, and procrastinate."""

from collections.abc import Iterator

from benchmarks import bodies
from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn
from benchmarks.rows import sides


def schedule_noops(count: int) -> None:
    bodies.noop.schedule_many([{}] * count)


def schedule_locked(count: int) -> None:
    """The locks by turns, so that each is free again when its next job comes."""
    for start in range(0, count, 1000):
        for number in range(start, min(start + 1000, count)):
            bodies.locked_noops[number % bodies.LOCKS].schedule()


def schedule_devices(count: int) -> None:
    bodies.noop_devices.schedule_many([{}] * count)


def execute(bench: Bench) -> Iterator[Line]:
    count = bench.size(10_000, 1000)
    found = in_turn(
        bench.rounds,
        {
            "ours": lambda: sides.ours(bench, count, schedule_noops),
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
            "lock": lambda: sides.ours(bench, count, schedule_locked),
            "none": lambda: sides.ours(bench, count, schedule_noops),
        },
    )
    yield Line(
        what=f"execute {count:,} queued no-op jobs with a lock, free each time",
        unit="jobs/s",
        ours=found["lock"],
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
            "devices": lambda: sides.ours(bench, count, schedule_devices),
            "none": lambda: sides.ours(bench, count, schedule_noops),
        },
    )
    yield Line(
        what=f"execute {count:,} queued no-op jobs that report {len(bodies.DEVICES)} devices",
        unit="jobs/s",
        ours=found["devices"],
        baseline=found["none"],
        against="no devices",
        better="higher",
        target=0.9,
    )
