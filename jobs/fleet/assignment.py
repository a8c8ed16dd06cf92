"""What is to be done with the devices of a job: the arguments of ``ctx.each``, checked."""

import hashlib
import inspect
import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.declaration import is_plain

Step = Callable[[Any], Any]

_LONGEST_NAME = 255
_FUNCTIONS: Final = ("lost", "hung", "back", "leaving", "beforehand")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The same in every participant, as far as ``fingerprint`` can tell."""

    devices: Mapping[str, Any]  # by host, in the order of the selection
    steps: Sequence[Step]
    at_once: int
    seconds: float | None
    lost: Callable[[Any, str], Any] | None
    hung: Callable[[Any, str], Any] | None
    back: Callable[[Any, str], Any] | None
    leaving: Callable[[], None]
    beforehand: Callable[[Sequence[Any]], None]
    all_or_none: bool
    reads_first: bool
    within: float | None
    helpers: int
    repeats: bool
    fingerprint: str

    @classmethod
    def of(cls, devices: Sequence[Any], steps: Sequence[Step], *, at_once: int, alike: str, **more: Any) -> Self:
        """Check them.

        Raises:
            ValueError: equal names, a name of more than 255 characters, no step, less than one device at once, what is
                not a function, not a number of seconds.
        """
        _check(devices, steps, at_once, more)
        by_host: dict[str, Any] = {}
        for device in devices:
            host = host_of(device)
            if host in by_host:
                raise ValueError(f"{host} is among the devices twice")
            if not 0 < len(host) <= _LONGEST_NAME:
                raise ValueError(f"the name {host!r:.40} of a device must have 1 to {_LONGEST_NAME} characters")
            by_host[host] = device
        return cls(
            devices=by_host,
            steps=tuple(steps),
            at_once=at_once,
            fingerprint=_fingerprint(by_host, steps, alike),
            **more,
        )


def _check(devices: Any, steps: Sequence[Any], at_once: Any, more: Mapping[str, Any]) -> None:
    """A mistake in the call is the job's, where each device would fail by it."""
    if isinstance(devices, str):
        raise ValueError(f"the devices are one name, {devices!r:.60}: give a list of names")
    if not steps:
        raise ValueError("each() needs a function to call for each device")
    if not isinstance(at_once, int) or at_once < 1:
        raise ValueError(f"at_once={at_once!r:.60} must be a whole number, at least 1")
    functions = [("a step", step) for step in steps]
    functions += [(name, more[name]) for name in _FUNCTIONS if more[name] is not None]
    for name, function in functions:
        if not callable(function) or not is_plain(function):
            raise ValueError(f"{name} must be a plain function, neither async nor a generator: not {function!r:.60}")
    for name in ("seconds", "within"):
        value = more[name]
        if value is not None and not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise ValueError(f"{name}={value!r:.60} must be a number of seconds, and not below 0")


def host_of(device: Any) -> str:
    """The name of a device, which is given as a name or as an object with one. Raises ValueError for anything else."""
    name = device if isinstance(device, str) else getattr(device, "name", None)
    if not isinstance(name, str):
        raise ValueError(f"{device!r:.60} is not a device: neither a name nor an object with a name")
    return name


def name_of(step: Callable[..., Any]) -> str:
    return getattr(step, "__name__", type(step).__name__).strip("_")


def _fingerprint(hosts: Mapping[str, Any], steps: Sequence[Step], alike: str) -> str:
    code = [[name_of(step), source_of(step)] for step in steps]
    return hashlib.sha256(json.dumps([list(hosts), code, alike]).encode()).hexdigest()


def source_of(step: Callable[..., Any]) -> str:
    """A hash of the file that contains the step: in another version of it the step may do something else."""
    try:
        return _content(inspect.getsourcefile(inspect.unwrap(step)) or "")
    except (TypeError, OSError):
        return ""


@cache
def _content(file: str) -> str:
    """Read once, so that it is the code that runs here, also where an upgrade has replaced the file since."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


found_to_differ: Final[deque[tuple[int, str]]] = deque(maxlen=100)  # from the runs of these jobs, at these workers


def say_it_differs(job_id: int, worker: str) -> None:
    """This process differs where all participants must be alike. It remembers that, and does not join again."""
    found_to_differ.append((job_id, worker))
    record(JobAction.DIFFERS, job_id=job_id, worker=worker)
