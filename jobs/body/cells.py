"""Which stage each run has reached: the process that runs its body tells the worker's main process, in shared memory.

The main process may be waiting for the broker when it must learn that a body has ended; shared memory needs no message.
There is one cell per run, allocated before the pool forks, and its number is passed with the request. The child writes
and the main process reads, except for one byte, with which the main process tells a body to leave.
"""

import mmap
import os
import struct
import time
from collections import deque
from enum import IntEnum
from typing import Any, Final, NamedTuple


class Stage(IntEnum):
    WAITING = 0  # handed to the pool
    CLAIMING = 1  # a child has it; the body has not begun, and perhaps never will
    RUNNING = 2  # in the body
    STORING = 3  # the body and all its threads have ended; storing its end waits for the database
    DONE = 4  # nothing is left to do


class Cell(NamedTuple):
    stage: Stage
    soft_limit_struck: bool
    pid: int
    began: float  # monotonic seconds, the same clock in every process of this machine


CELLS: Final = 4096
_LAYOUT: Final = struct.Struct("<BBBxId")
_STAGE, _SOFT, _LEAVE, _PID, _BEGAN = 0, 1, 2, 4, 8

_memory: mmap.mmap | None = None
_free: deque[int] = deque()


# --- the main process -------------------------------------------------------------------------------------------------


def allocate() -> None:
    """Call once, before the pool forks."""
    global _memory
    if _memory is None:
        _memory = mmap.mmap(-1, CELLS * _LAYOUT.size)
        _free.extend(range(CELLS))


def take() -> int | None:
    """A cell for a run that is about to be passed to the pool; None if all are in use: then it cannot be followed."""
    if _memory is None or not _free:
        return None
    number = _free.popleft()
    _LAYOUT.pack_into(_memory, number * _LAYOUT.size, Stage.WAITING, 0, 0, 0, 0.0)
    return number


def give_back(number: int) -> None:
    """Free a cell that no child writes to any more. It goes to the end of the free list."""
    _free.append(number)


def read(number: int | None) -> Cell | None:
    found = _bytes(number)
    if found is None:
        return None
    stage, soft, _, pid, began = _LAYOUT.unpack(found)
    return Cell(Stage(stage), bool(soft), pid, began)


def tell_to_leave(number: int | None) -> None:
    """The worker is stopping: a body that shares its work leaves it to the others. The one byte written from here."""
    _write(_bytes(number), _LEAVE)


# --- the process that runs the body -----------------------------------------------------------------------------------
# What a stage promises is written before it: the main process may look at any moment.


def taken(request: Any) -> bool:
    """A child has the message. False if another child had it before and died: that run must not be claimed again."""
    cell = _bytes_of(request)
    if cell is None:
        return True
    if cell[_STAGE] != Stage.WAITING:
        return False
    struct.pack_into("<I", cell, _PID, os.getpid())
    cell[_STAGE] = Stage.CLAIMING
    return True


def running(request: Any, *, age: float = 0.0) -> None:
    """The body begins: its time limits count from here, or from ``age`` seconds ago: the job began elsewhere."""
    cell = _bytes_of(request)
    if cell is not None:
        struct.pack_into("<d", cell, _BEGAN, time.monotonic() - age)
        cell[_STAGE] = Stage.RUNNING


def told_to_leave(request: Any) -> bool:
    cell = _bytes_of(request)
    return cell is not None and bool(cell[_LEAVE])


def soft_limit_struck(request: Any) -> None:
    _write(_bytes_of(request), _SOFT)


def storing(request: Any) -> None:
    """The body has ended: no time limit and no shutdown may cut off the storing of its end."""
    _write(_bytes_of(request), _STAGE, Stage.STORING)


def done(request: Any) -> None:
    _write(_bytes_of(request), _STAGE, Stage.DONE)


# --- both -------------------------------------------------------------------------------------------------------------


def _write(cell: memoryview | None, place: int, value: int = 1) -> None:
    if cell is not None:
        cell[place] = value


def _bytes_of(request: Any) -> memoryview | None:
    return _bytes(getattr(request, "cell", None))


def _bytes(number: int | None) -> memoryview | None:
    """One cell's memory. None for a run that is not followed, such as one without a worker."""
    if _memory is None or number is None:
        return None
    return memoryview(_memory)[number * _LAYOUT.size : (number + 1) * _LAYOUT.size]
