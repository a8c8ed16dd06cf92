"""Lab devices by the thousand, and syncs of them by real workers."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import yaml

from benchmarks.base import Base
from benchmarks.environment import ROOT, Bench
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

LAB: Final = ROOT / "devices" / "lab"
# A lab device is a file, and the time a disk takes to make one does not count as a device's. ext4 took 1.0 s more
# processor time for 1,000 of them when many files had been deleted in the minutes before, as other rows do. So they are
# kept in memory.
_MEMORY: Final = Path("/dev/shm")
MEMORY: Final = _MEMORY if _MEMORY.is_dir() else None


def inventory(bench: Bench, name: str, delays: Sequence[float], *, at_a_time: int) -> Path:
    """The lab's groups, and an access switch for each delay: the seconds that it takes to connect to it."""
    directory = bench.directory / f"inventory-{name}"
    if directory.exists():
        return directory
    directory.mkdir()
    shutil.copy(LAB / "groups.yml", directory)
    shutil.copy(LAB / "defaults.yml", directory)
    _write(directory / "hosts.yml", {f"switch{number:05}": _host(number, delay) for number, delay in enumerate(delays)})
    config = yaml.safe_load((LAB / "config.yml").read_text())
    config["runner"]["options"]["num_workers"] = at_a_time
    _write(directory / "config.yml", config)
    return directory


def _host(number: int, delay: float) -> dict[str, Any]:
    address = f"10.{number // 62_500}.{number // 250 % 250}.{number % 250}"
    options = {"napalm": {"extras": {"optional_args": {"delay_seconds": delay}}}}
    return {
        "groups": ["access", "building1"],
        "data": {"management_ip": address},
        "connection_options": options,
    }


def _write(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def start(
    bench: Bench,
    inventory: Path,
    lab: Path,
    workers: Sequence[int],
    *,
    base: Base | None = None,
    jobs_before: bool = False,
) -> tuple[Platform, list[Managed]]:
    """New lab devices, Beat, and a worker for each number of slots; no jobs, or those of the runs before."""
    if not jobs_before:
        bench.reset_jobs(base=base)
    anew(bench, lab, base=base)
    state = mkdtemp(dir=lab)
    env = {"NORNIR_CONFIG": str(inventory / "config.yml"), "CNAASJOBS_STATE_DIR": state}
    platform = bench.platform(env=env, base=base)
    platform.beat()
    return platform, [platform.worker(f"w{n}", concurrency=slots) for n, slots in enumerate(workers, 1)]


def anew(bench: Bench, lab: Path, *, base: Base | None = None) -> None:
    """No device is configured, so that a live sync changes each."""
    for file in lab.glob("*/lab/*"):
        if file.is_file():
            file.unlink()
    bench.postgresql.execute("TRUNCATE devices_devicestate", database=base.database if base else None)


def run(bench: Bench, *, dry_run: bool, base: Base | None = None) -> float:
    """Seconds from the start of a sync of all devices to its end, by its row."""
    post(bench, dry_run=dry_run, base=base)
    return finished(bench, base=base)


def post(bench: Bench, *, dry_run: bool, base: Base | None = None) -> None:
    bench.product("sync", "dry" if dry_run else "live", base=base)


def finished(bench: Bench, *, base: Base | None = None) -> float:
    """Wait for the newest sync; how long it took."""
    newest = (
        "SELECT status, exception_type, extract(epoch FROM finish_time - start_time) FROM jobs_job"
        " WHERE task_name LIKE '%%sync_devices' ORDER BY id DESC LIMIT 1"
    ).replace("%%", "%")
    database = base.database if base else None
    ended = wait_until(
        lambda: [row for row in bench.postgresql.execute(newest, database=database) if row[2] is not None],
        timeout=300,
        interval=0.1,
    )
    status, reason, seconds = ended[0]
    if status != "FINISHED":
        raise AssertionError(f"the sync ended as {status}: {reason}")
    return float(seconds)
