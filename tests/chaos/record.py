"""What one chaos run saw, as plain data. Times are seconds of the machine's wall clock, which PostgreSQL shares."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from tests.chaos.ledger import Event, Line


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of job is allowed to do."""

    name: str
    retries: bool = False
    reruns: bool = False
    approval: bool = False  # each of them waits for a second person
    ends_with: tuple[str, ...] = ()  # exception types of its own making


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A job that the platform has promised to end: 200 to a POST, or a committed ``schedule``."""

    job: int
    kind: str
    by: str  # "http" or "schedule"
    at: float


@dataclass(frozen=True, kw_only=True)
class Post:
    """One POST to device_syncto. ``status`` 0: no answer."""

    at: float
    seconds: float
    status: int
    key: str
    job: int | None = None
    says: str = ""  # what it was refused with


@dataclass(frozen=True, kw_only=True)
class Change:
    """One committed change of a job's row, from the trigger; ``at`` is the commit's time. ``before`` None: inserted."""

    job: int
    at: float
    before: str | None
    after: str
    old_token: str | None = None
    new_token: str | None = None
    worker: str | None = None  # of the run that began or ended
    retries: int = 0
    exception_type: str | None = None
    due: float = 0.0
    unapproved: bool = False  # it waits for a second person from then on
    key: str | None = None  # of one that was inserted: the comment, which says with what key it was posted


@dataclass(frozen=True, kw_only=True)
class Tenure:
    """A job held a lock under one fencing token; ``until`` is the commit that took or gave it back."""

    lock: str
    job: int
    fence: int
    since: float
    until: float | None


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A process took part in a job's devices; ``until`` is the commit that ended it."""

    job: int
    token: str
    worker: str
    since: float
    until: float | None


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """A device of a job at the end of the run."""

    job: int
    host: str
    state: str
    failed: bool
    reason: str | None
    tries: int
    participant: str | None  # who had it last


@dataclass(frozen=True, kw_only=True)
class Row:
    """A job in the database at the end of the run."""

    job: int
    kind: str
    status: str
    exception_type: str | None
    lock: str | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One injected fault. ``hits``: RUNNING jobs and held locks that it struck."""

    kind: str
    at: float
    until: float
    target: str
    hits: int


@dataclass(frozen=True, kw_only=True)
class Process:
    """A main process of the fleet from ready (a worker: taking jobs) to its death."""

    role: str  # "worker", "beat", "web"
    name: str
    pid: int
    since: float
    until: float | None
    host: str = ""
    spawned: float | None = None
    draining: float | None = None  # told to end: takes no more jobs
    slots: int = 0


@dataclass(frozen=True, kw_only=True)
class Death:
    """The death of a process of the fleet, including pool children."""

    pid: int
    at: float


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A process between SIGSTOP and SIGCONT."""

    pid: int
    since: float
    until: float


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which "database", "broker" or "web" may not have served; from ``down`` to ``up`` surely not."""

    component: str
    since: float
    until: float
    down: float
    up: float


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A time in which a host did not reach "database" or "broker", or was not reached by it."""

    host: str
    component: str
    since: float
    until: float


@dataclass(frozen=True, kw_only=True)
class Remnant:
    """What a host that vanished at ``since`` held in the database: ``held`` locks, free at ``until``; None: never."""

    host: str
    since: float
    until: float | None
    held: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question to /readyz. ``status`` 0: no answer. ``states``: of database, broker, worker and beat."""

    at: float
    seconds: float
    status: int
    states: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Abort:
    """One PUT ABORT and its answer."""

    job: int
    at: float
    status: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One PUT APPROVE or REJECT and its answer. ``status`` 0: none."""

    job: int
    action: str
    at: float
    status: int


@dataclass(frozen=True, kw_only=True)
class Heard:
    """When a listener heard for the first time that this job is in this state."""

    listener: str
    job: int
    status: str
    at: float


@dataclass(kw_only=True)
class Record:
    """Everything that the checks look at."""

    since: float
    until: float
    kinds: list[Kind] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    aborts: list[Abort] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    tenures: list[Tenure] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    devices: list[DeviceRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)  # pool processes by their worker's pid
    beats: dict[int, list[float]] = field(default_factory=dict)  # when each main process wrote its heartbeat
    deaths: list[Death] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    remnants: list[Remnant] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    told: dict[str, dict[str, str]] = field(default_factory=dict)  # by listener and job, the last status it heard of

    def save(self, path: Path) -> None:
        """As JSON, so that a run can be looked at, and checked again, when its services are long gone."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Record":
        data: dict[str, Any] = json.loads(path.read_text())
        hints = get_type_hints(cls)
        for each in fields(cls):
            value = data[each.name]
            if each.name in ("children", "beats"):
                data[each.name] = {int(pid): found for pid, found in value.items()}
            elif isinstance(value, list):
                (item,) = get_args(hints[each.name])
                data[each.name] = [_item(item, entry) for entry in value]
        return cls(**data)


def _item(item: type[Any], entry: dict[str, Any]) -> Any:
    if item is Line:
        entry["event"] = Event(entry["event"])
    if item is Kind:
        entry["ends_with"] = tuple(entry["ends_with"])
    return item(**entry)
