"""One sync by many processes: how much faster it is, and what it costs jobs beside it, one process, and its memory."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, in_turn, percentile, spread
from benchmarks.memory import own_memory
from benchmarks.rows import lab as devices
from tests.services.managed import Managed
from tests.waiting import wait_until

QUICK_SECONDS: Final = 0.5
SLOW_SECONDS: Final = 5.0  # of one device in ten
_SHORT_JOBS: Final = 200
_SHORT_EVERY: Final = 0.04  # seconds; all of them within the sync
_MB: Final = 1e6


def shared(bench: Bench) -> Iterator[Line]:
    count = bench.size(2000, 400)
    delays = [SLOW_SECONDS if number % 10 == 9 else QUICK_SECONDS for number in range(count)]
    by_25 = devices.inventory(bench, "by25", delays, at_a_time=25)
    by_50 = devices.inventory(bench, "by50", delays, at_a_time=50)
    bench.reset_jobs()
    first = spread([_live(bench, by_25, [1] * 6)])  # from here on it is known which devices are slow
    found = in_turn(
        bench.rounds,
        {
            "6 x 25": lambda: _live(bench, by_25, [1] * 6),
            "1 x 25": lambda: _live(bench, by_25, [1]),
            "3 x 50": lambda: _live(bench, by_50, [2] * 3),
            "1 x 50": lambda: _live(bench, by_50, [2]),
        },
    )
    what = f"live sync of {count:,} devices, 1 in 10 of {SLOW_SECONDS:g} s"
    for many, one, workers, times in (
        ("6 x 25", "1 x 25", "6 workers of one slot, 25 at a time each", 4.5),
        ("3 x 50", "1 x 50", "3 workers of two slots, 50 at a time each", 2.6),
    ):
        yield Line(
            what=f"{what}: {workers}",
            unit="s",
            ours=found[many],
            baseline=found[one],
            against="one such worker",
            target=round(1 / times, 3),
        )
    for when, seconds in (("", found["6 x 25"]), (", for the first time", first)):
        yield Line(
            what=f"{what}{when}: 6 workers of one slot, 25 at a time each",
            unit="s",
            ours=seconds,
            baseline=spread([_ideal(delays, 150)]),
            against="the same delays on 150 threads, in their order",
            target=1.25,
        )
    yield from _beside(bench, by_50, by_25)


def _ideal(delays: Sequence[float], threads: int) -> float:
    """Each thread takes the next device when it is done with one."""
    free = [0.0] * threads
    for delay in delays:
        heapq.heapreplace(free, free[0] + delay)
    return max(free)


def _live(bench: Bench, inventory: Path, workers: Sequence[int]) -> float:
    with _started(bench, inventory, workers):
        return devices.run(bench, dry_run=False)


@contextmanager
def _started(bench: Bench, inventory: Path, workers: Sequence[int]) -> Iterator[list[Managed]]:
    with TemporaryDirectory(prefix="cnaasjobs-bench-", dir=devices.MEMORY) as lab:
        platform, started = devices.start(bench, inventory, Path(lab), workers, jobs_before=True)
        try:
            bench.settle()
            yield started
        finally:
            platform.stop()


# --- short jobs beside it ---------------------------------------------------------------------------------------------


def _beside(bench: Bench, by_50: Path, by_25: Path) -> Iterator[Line]:
    """How long a short job waits for a slot while workers share a sync."""
    what = f"{_SHORT_JOBS} short jobs: wait for a slot beside a shared sync"
    with_it, without, one_slot = [], [], []
    for _ in range(bench.rounds):
        with _started(bench, by_50, [2] * 3):
            without.append(_waits(bench))
            devices.post(bench, dry_run=False)
            _wait_for_participants(bench, 3)
            with_it.append(_waits(bench))
            devices.finished(bench)
        with _started(bench, by_25, [1] * 6):
            devices.post(bench, dry_run=False)
            _wait_for_participants(bench, 6)
            one_slot.append(_waits(bench))
            devices.finished(bench)
    for share in (0.5, 0.99):
        yield Line(
            what=f"{what}, 3 workers of two slots: p{share * 100:g}",
            unit="ms",
            ours=spread([1000 * percentile(waits, share) for waits in with_it]),
            baseline=spread([1000 * percentile(waits, share) for waits in without]),
            against="without the sync",
            target=2,
        )
    yield Line(
        what=f"{what}, 6 workers of one slot: p99",
        unit="s",
        ours=spread([percentile(waits, 0.99) for waits in one_slot]),
        target=SLOW_SECONDS + 1,
        absolute=True,
    )


def _wait_for_participants(bench: Bench, count: int) -> None:
    asked = "SELECT count(*) FROM jobs_participant"
    wait_until(lambda: bench.postgresql.execute(asked)[0][0] >= count, timeout=60, interval=0.05)


def _waits(bench: Bench) -> list[float]:
    """Seconds from the POST of each short job to its start."""
    from benchmarks.bodies import noop

    first = noop.schedule().pk
    for _ in range(_SHORT_JOBS - 1):
        sleep(_SHORT_EVERY)
        noop.schedule()
    started = f"""SELECT extract(epoch FROM start_time - scheduled_time) FROM jobs_job
        WHERE id >= {first} AND task_name LIKE '%noop' AND start_time IS NOT NULL"""
    wait_until(lambda: len(bench.postgresql.execute(started)) == _SHORT_JOBS, timeout=120)
    return [float(seconds) for (seconds,) in bench.postgresql.execute(started)]


# --- one process ------------------------------------------------------------------------------------------------------


def alone(bench: Bench) -> Iterator[Line]:
    """A sync in one process costs what it cost before others could help."""
    for count, target in ((1, None), (20, 1.10), (1000, 1.02)):
        inventory = devices.inventory(bench, f"alone{count}", [0.05] * count, at_a_time=50)
        bases = [None, bench.base] if bench.base else [None]
        samples: dict[object, list[float]] = {base: [] for base in bases}
        for number in range(bench.rounds):
            for base in bases if number % 2 == 0 else bases[::-1]:
                with TemporaryDirectory(prefix="cnaasjobs-bench-", dir=devices.MEMORY) as lab:
                    platform, _ = devices.start(bench, inventory, Path(lab), [1], base=base)
                    try:
                        devices.run(bench, dry_run=True, base=base)  # the inventory is warm from here on
                        bench.settle()
                        for _ in range(3):
                            devices.anew(bench, Path(lab), base=base)
                            samples[base].append(devices.run(bench, dry_run=False, base=base))
                    finally:
                        platform.stop()
        yield Line(
            what=f"live sync of {count:,} devices of 50 ms by one process",
            unit="ms",
            ours=spread([1000 * seconds for seconds in samples[None]]),
            baseline=spread([1000 * seconds for seconds in samples[bench.base]]) if bench.base else None,
            against=f"commit {bench.base.commit}" if bench.base else "",
            target=target,
        )


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(bench: Bench) -> Iterator[Line]:
    """Of each process, 20,000 devices with reports of 10 KB by six of them."""
    from benchmarks.fleet_bodies import ten_kilobytes

    inventory = devices.inventory(bench, "none", [0.0], at_a_time=25)
    count = bench.size(20_000, 2000)
    grown = []
    for _ in range(bench.rounds):
        with _started(bench, inventory, [1] * 6) as workers:
            children = [worker.children()[0].pid for worker in workers]
            idle = [own_memory(child) for child in children]
            job = ten_kilobytes.schedule(devices=count)
            ended = f"SELECT status FROM jobs_job WHERE id = {job.pk} AND finish_time IS NOT NULL"
            most = [0] * len(children)
            while True:
                most = [max(before, own_memory(child)) for before, child in zip(most, children, strict=True)]
                if found := bench.postgresql.execute(ended):
                    break
                sleep(0.2)
            if found != [("FINISHED",)]:
                raise AssertionError(f"the job ended as {found}")
            grown.append(max(now - before for now, before in zip(most, idle, strict=True)) / _MB)
    yield Line(
        what=f"memory of a process beyond an idle one's, {count:,} devices with reports of 10 KB by six",
        unit="MB",
        ours=spread(grown),
        target=150,
        absolute=True,
    )
