"""A dry run and a live sync of lab devices with 50 ms each, 50 at a time; time, database writes, memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Final

import yaml

from benchmarks.baselines.plain_sync import render_and_diff
from benchmarks.environment import ROOT, Bench
from benchmarks.measure import Line, spread
from benchmarks.memory import own_memory
from devices.tasks import sync_devices
from jobs.dispatch import scheduling
from jobs.models import Job
from tests.services.processes import Platform
from tests.waiting import wait_until

DELAY_SECONDS: Final = 0.05
AT_A_TIME: Final = 50
_LAB: Final = ROOT / "devices" / "lab"
# A lab device is a file, and the time a disk takes to make one does not count as a device's. ext4 took 1.0 s more
# processor time for 1,000 of them when many files had been deleted in the minutes before, as other rows do. So they are
# kept in memory.
_MEMORY: Final = Path("/dev/shm")


def sync(bench: Bench) -> Iterator[Line]:
    with TemporaryDirectory(prefix="cnaasjobs-bench-", dir=_MEMORY if _MEMORY.is_dir() else None) as lab:
        yield from _sync(bench, Path(lab))


def _sync(bench: Bench, lab: Path) -> Iterator[Line]:
    sizes = (10, 100, bench.size(1000, 300))
    memory: dict[int, list[float]] = {}
    for size in sizes:
        inventory = _inventory(bench, size)
        seconds: dict[str, list[float]] = {"dry run": [], "live sync": []}
        floor: list[float] = []
        writes: list[float] = []
        for _ in range(bench.rounds):
            platform, worker = _start(bench, inventory, lab)
            child = worker.children()[0].pid
            _run(dry_run=True)  # the inventory is warm from here on
            for what, found in seconds.items():
                bench.settle()
                bench.postgresql.execute("SELECT pg_stat_statements_reset()")
                found.append(_run(dry_run=what == "dry run"))
                writes.append(_writes(bench) - found[-1] / 2)
            memory.setdefault(size, []).append(own_memory(child) / 1e6)
            platform.stop()
            work = min(render_and_diff(inventory, _LAB / "templates" / "lab") for _ in range(3))
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


def _inventory(bench: Bench, size: int) -> Path:
    """The lab's groups, and this many access switches."""
    directory = bench.directory / f"inventory{size}"
    if not directory.exists():
        directory.mkdir()
        shutil.copy(_LAB / "groups.yml", directory)
        defaults = yaml.safe_load((_LAB / "defaults.yml").read_text())
        delay = {"extras": {"optional_args": {"delay_seconds": DELAY_SECONDS}}}
        _write(directory / "defaults.yml", {**defaults, "connection_options": {"napalm": delay}})
        _write(directory / "hosts.yml", {f"switch{number:04}": _host(number) for number in range(size)})
        config = yaml.safe_load((_LAB / "config.yml").read_text())
        config["runner"]["options"]["num_workers"] = AT_A_TIME
        _write(directory / "config.yml", config)
    return directory


def _host(number: int) -> dict[str, Any]:
    address = f"10.0.{number // 250}.{number % 250}"
    return {"groups": ["access", "building1"], "data": {"management_ip": address}}


def _write(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _start(bench: Bench, inventory: Path, lab: Path) -> tuple[Platform, Any]:
    bench.reset_jobs()
    bench.postgresql.execute("TRUNCATE devices_devicestate")
    state = mkdtemp(dir=lab)
    platform = bench.platform(env={"NORNIR_CONFIG": str(inventory / "config.yml"), "CNAASJOBS_STATE_DIR": state})
    platform.beat()
    return platform, platform.worker(concurrency=1)


def _run(*, dry_run: bool) -> float:
    """Seconds from the job's start to its end, by its row."""
    job = scheduling.schedule(sync_devices, {"all": True, "dry_run": dry_run})
    wait_until(lambda: Job.objects.filter(pk=job.pk, finish_time__isnull=False).exists(), timeout=300, interval=0.1)
    done = Job.objects.get(pk=job.pk)
    if done.status != "FINISHED" or done.start_time is None or done.finish_time is None:
        raise AssertionError(f"the sync ended as {done.status}: {done.exception_type}")
    return (done.finish_time - done.start_time).total_seconds()


def _writes(bench: Bench) -> float:
    """Statements that changed the jobs' and devices' tables since the last reset."""
    (calls,) = bench.postgresql.execute(
        "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
        " WHERE rows > 0 AND query ~* '(INSERT INTO|UPDATE|DELETE FROM) \"?(jobs_job|devices_)'"
    )[0]
    return float(calls)
