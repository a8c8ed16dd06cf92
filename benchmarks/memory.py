"""A process's memory, from /proc."""

from pathlib import Path

import psutil


def peak_memory(pid: int) -> int:
    """Bytes of resident memory at the highest so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def own_memory(pid: int) -> int:
    """Bytes that would be free without it: shared pages of a fork do not count."""
    return int(psutil.Process(pid).memory_full_info().uss)
