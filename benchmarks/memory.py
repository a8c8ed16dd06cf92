"""A process's memory, from /proc."""

from pathlib import Path

import psutil


def peak_memory(pid: int) -> int:
    """Bytes of resident memory at the highest so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def resident_memory(pid: int) -> int:
    """Bytes in memory now, including those shared with the process that forked it: what ``ps`` shows."""
    return int(psutil.Process(pid).memory_info().rss)


def own_memory(pid: int) -> int:
    """Bytes that would be free without it: shared pages of a fork do not count."""
    return int(psutil.Process(pid).memory_full_info().uss)
