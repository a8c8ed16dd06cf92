"""What will be fed, what will be broken, and when: drawn from one seed, so that a run can be repeated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Of a hundred jobs. The rest are short ones.
SHARES = {
    "urgent": 6,
    "delayed": 10,
    "locked": 12,
    "fan": 10,
    "failing": 6,
    "retried": 8,
    "rerun": 6,
    "guarded": 6,
}
LASTING = {
    "long": 0.6,
    "campaign": 0.35,
    "blind": 0.5,
    "keeper": 0.15,
    "roll": 0.6,
}  # how many are at work at once, on average, in any run
SHARED = "roll"  # of these: the one whose devices are rows
LASTING_SECONDS = 18.0  # at least; they outlive the rescue of a frozen worker
SYNCS = 0.2  # of all jobs: device_syncto by HTTP
BURST = 15  # short jobs that fill the queue just before its messages are lost
SYNC_GROUPS = ("one", "few")
ABORTS = 0.03


@dataclass(frozen=True)
class FaultKind:
    """``weight``: how often it is drawn, in relation. ``least``, ``most``: how long it lasts. ``apart``: seconds until
    the next; after an outage long enough to recover, because nothing is promised for an outage that never ends.
    """

    weight: int
    least: float = 0.0
    most: float = 0.0
    apart: float = 8.0


FAULTS = {
    "child killed": FaultKind(4),
    "child frozen": FaultKind(3, 1, 6),
    "worker killed": FaultKind(3),
    # Both beyond CNAASJOBS_WORKER_LOST_SECONDS, by so much; the first with its children, which work on in the second.
    "worker frozen": FaultKind(2, 3, 8),
    "worker's main process frozen": FaultKind(2, 3, 8),
    "worker told to end": FaultKind(2),
    "Beat killed": FaultKind(3),
    "Beats frozen": FaultKind(1, 18, 20, apart=25),
    "web killed": FaultKind(3),
    "web frozen": FaultKind(1, 2, 4),
    "broker restarted": FaultKind(2, apart=20),
    "broker purged": FaultKind(3, apart=12),
    "broker wiped": FaultKind(2, apart=25),
    "broker away": FaultKind(1, 18, 20, apart=45),
    "broker frozen": FaultKind(1, 18, 20, apart=40),
    "broker's connections cut": FaultKind(2, apart=15),
    "messages duplicated": FaultKind(4),
    "PostgreSQL restarted": FaultKind(2),
    "PostgreSQL crashed": FaultKind(2),
    "PostgreSQL away": FaultKind(1, 18, 20, apart=40),
    "PostgreSQL's connections cut": FaultKind(3),
    "PostgreSQL takes no writes": FaultKind(2, 4, 16, apart=19),
    "participants killed": FaultKind(2),
    "participants frozen": FaultKind(1, 3, 8),
    "participants told to end": FaultKind(2),
    "joins duplicated": FaultKind(2),
    # Silence: these last beyond CNAASJOBS_WORKER_LOST_SECONDS by so much.
    "host cut off from PostgreSQL": FaultKind(3, 2, 6, apart=19),
    "host cut off from the broker": FaultKind(3, 2, 6, apart=19),
    "host vanished in a transaction": FaultKind(2, apart=19),
    "web cut off from PostgreSQL": FaultKind(2, 3, 18, apart=19),
    "web cut off from the broker": FaultKind(2, 3, 18, apart=19),
    "web cut off in a COMMIT": FaultKind(3, 11, 15, apart=19),
}
SHORT = tuple(kind for kind, fault in FAULTS.items() if fault.apart < 20)  # for a run of two minutes
BURSTING = ("broker purged", "broker wiped")
POSTED_AT = "web cut off in a COMMIT"  # by requests that come just then


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """``at``: seconds after the start of the run; ``delay``: it is due so much later."""

    kind: str
    arguments: dict[str, Any]
    at: float
    delay: float = 0.0
    abort: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedFault:
    kind: str
    at: float
    seconds: float
    pick: float  # in [0, 1): which of the processes that fit
    posts: tuple["PlannedJob", ...] = ()  # by HTTP; ``at``: seconds after it has begun


@dataclass(frozen=True, kw_only=True)
class Plan:
    seed: int
    seconds: float
    jobs: list[PlannedJob]  # by schedule, in the order of time
    syncs: list[PlannedJob]  # by HTTP
    faults: list[PlannedFault]


def draw(*, seed: int, jobs: int, faults: int, jobs_per_second: float, kinds: Sequence[str] = tuple(FAULTS)) -> Plan:
    """``kinds``: of faults."""
    rng = random.Random(seed)
    planned, seconds = _faults(rng, faults, kinds, at_least=jobs / jobs_per_second)
    bursts = sum(BURST for fault in planned if fault.kind in BURSTING)
    syncs = [_sync(rng, rng.uniform(0, seconds)) for _ in range(round(jobs * SYNCS))]
    lasting = [_lasting(rng, kind, seconds) for kind, n in LASTING.items() for _ in range(round(n * seconds / 21))]
    ordinary = max(jobs - len(syncs) - bursts - len(lasting), 0)
    return Plan(
        seed=seed,
        seconds=seconds,
        jobs=sorted([*lasting, *(_job(rng, seconds) for _ in range(ordinary))], key=lambda job: job.at),
        syncs=sorted(syncs, key=lambda job: job.at),
        faults=planned,
    )


def _faults(
    rng: random.Random, count: int, kinds: Sequence[str], *, at_least: float
) -> tuple[list[PlannedFault], float]:
    """Each kind once before any comes again, then by weight. Returns them and the length of the whole."""
    weights = [FAULTS[kind].weight for kind in kinds]
    drawn = [*rng.sample(kinds, len(kinds)), *rng.choices(kinds, weights, k=count)][:count]
    stretch = max(1.0, at_least / max(sum(FAULTS[kind].apart for kind in drawn), 1.0))
    found, at = [], 3.0
    for kind in drawn:
        fault = FAULTS[kind]
        seconds = rng.uniform(fault.least, fault.most)
        posts = tuple(_sync(rng, after) for after in (0.5, 2, 4)) if kind == POSTED_AT else ()
        found.append(PlannedFault(kind=kind, at=at, seconds=seconds, pick=rng.random(), posts=posts))
        at += fault.apart * stretch * rng.uniform(0.8, 1.2)
    return found, max(at, at_least)


def _lasting(rng: random.Random, kind: str, seconds: float) -> PlannedJob:
    arguments = lasting_arguments(kind, rng.uniform(LASTING_SECONDS, LASTING_SECONDS + 6))
    if kind == "roll":
        arguments["dry_run"] = rng.random() < 0.3
    return PlannedJob(
        kind=kind, arguments=arguments, at=rng.uniform(0, max(seconds - 20, 0)), abort=rng.random() < ABORTS
    )


def lasting_arguments(kind: str, seconds: float) -> dict[str, Any]:
    """So that one process needs so long."""
    if kind == "roll":
        return {"devices": [f"device-{number}" for number in range(round(seconds * 10 / 3))], "seconds": 0.6}
    return {"seconds": seconds}


def _job(rng: random.Random, seconds: float) -> PlannedJob:
    others = sum(SHARES.values())
    (kind,) = rng.choices([*SHARES, "short"], [*SHARES.values(), 100 - others])
    arguments: dict[str, Any]
    match kind:
        case "fan":
            devices = [f"device-{number}" for number in range(rng.randint(2, 6))]
            arguments = {"devices": devices, "threads": rng.randint(2, 3), "seconds": rng.uniform(0.05, 0.25)}
        case "locked" | "guarded":
            arguments = {"seconds": rng.uniform(0.1, 0.8)}
        case "rerun":
            arguments = {"seconds": rng.uniform(0.3, 4)}
        case "retried":
            arguments = {"seconds": rng.uniform(0.02, 0.3), "succeed_on": rng.randint(2, 4)}
        case _:
            arguments = {"seconds": rng.uniform(0.02, 0.5)}
    delay = rng.uniform(1, 20) if kind == "delayed" else 0.0
    return PlannedJob(
        kind=kind, arguments=arguments, at=rng.uniform(0, seconds), delay=delay, abort=rng.random() < ABORTS
    )


def _sync(rng: random.Random, at: float) -> PlannedJob:
    arguments = {
        "group": rng.choice(SYNC_GROUPS),
        "dry_run": rng.random() < 0.2,
        "resync": True,
        "force": True,
        "confirm_mode": rng.randint(0, 2),
    }
    return PlannedJob(kind="sync_devices", arguments=arguments, at=at, abort=rng.random() < ABORTS)
