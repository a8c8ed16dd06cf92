"""Memory of a worker's child after many jobs, with no recycling of children."""

from collections.abc import Iterator

from benchmarks import bodies
from benchmarks.environment import Bench
from benchmarks.measure import Line, spread
from benchmarks.memory import own_memory, resident_memory
from jobs.models import Job
from jobs.states import Status
from tests.waiting import wait_until


def child(bench: Bench) -> Iterator[Line]:
    """One child, so that it runs all of them."""
    first, last = bench.size(1000, 500), bench.size(50_000, 3000)
    kinds = {"resident memory": resident_memory, "memory of its own (no page shared by the fork)": own_memory}
    early: dict[str, list[float]] = {kind: [] for kind in kinds}
    late: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(bench.rounds):
        bench.reset_jobs()
        platform = bench.platform()
        platform.beat()
        worker = platform.worker(concurrency=1)
        pid = worker.children()[0].pid
        _run(first)
        for kind, measured in kinds.items():
            early[kind].append(measured(pid) / 1e6)
        _run(last - first)
        if worker.children()[0].pid != pid:
            raise AssertionError("the child was replaced")
        for kind, measured in kinds.items():
            late[kind].append(measured(pid) / 1e6)
        platform.stop()
    for kind in kinds:
        yield Line(
            what=f"{kind} of a worker's child after {last:,} jobs",
            unit="MB",
            ours=spread(late[kind]),
            baseline=spread(early[kind]),
            against=f"after {first:,}",
            target=1.05,
        )


def _run(count: int) -> None:
    for _ in range(0, count, 10_000):
        bodies.noop.schedule_many([{}] * min(count, 10_000))
        count -= 10_000
    unfinished = Job.objects.filter(status__in=[Status.SCHEDULED.value, Status.RUNNING.value])
    wait_until(lambda: not unfinished.exists(), timeout=900, interval=0.5)
