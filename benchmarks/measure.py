"""What a row measures and how its samples are summed up. Imports nothing of the project."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower"]
_AT_A_TIME = 10


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The samples of one side: one for each round."""

    samples: tuple[float, ...]

    @property
    def low(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def high(self) -> float:
        return max(self.samples)

    def as_json(self) -> dict[str, Any]:
        return {"min": self.low, "median": self.median, "max": self.high, "rounds": list(self.samples)}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table: ours beside a baseline, or ours alone against a bound.

    With a baseline ``target`` bounds the ratio ours / baseline of the medians; without one, or if ``absolute``, it
    bounds our median itself.
    """

    what: str
    unit: str
    ours: Spread
    baseline: Spread | None = None
    against: str = ""
    better: Better = "lower"
    target: float | None = None
    absolute: bool = False
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        if self.baseline is None or self.baseline.median == 0:
            return None
        return self.ours.median / self.baseline.median

    @property
    def reached(self) -> bool | None:
        """None where nothing is to be reached."""
        if self.target is None:
            return None
        value = self.ours.median if self.baseline is None or self.absolute else self.ratio
        if value is None:
            return None
        return value >= self.target if self.better == "higher" else value <= self.target

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "against": self.against,
            "ours": self.ours.as_json(),
            "baseline": self.baseline.as_json() if self.baseline else None,
            "better": self.better,
            "ratio": self.ratio,
            "target": self.target,
            "reached": self.reached,
            "note": self.note,
            "details": dict(self.details),
        }


def in_turn(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, Spread]:
    """Each side once per round, so that a noisy machine hurts all of them; every other round backwards."""
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in names:
            samples[name].append(sides[name]())
    return {name: Spread(samples=tuple(values)) for name, values in samples.items()}


def medians(rounds: int, count: int, sides: Mapping[str, Callable[[int], Sequence[float]]]) -> dict[str, Spread]:
    """The median of ``count`` samples for each side and round.

    The sides take turns after every few samples, so that a second in which the machine is slow hurts all of them.
    """

    def one_round() -> dict[str, float]:
        found: dict[str, list[float]] = {name: [] for name in sides}
        names = list(sides)
        for begun in range(0, count, _AT_A_TIME):
            for name in names:
                found[name] += sides[name](min(_AT_A_TIME, count - begun))
            names.reverse()
        return {name: statistics.median(values) for name, values in found.items()}

    found = [one_round() for _ in range(rounds)]
    return {name: Spread(samples=tuple(one[name] for one in found)) for name in sides}


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, ``share`` from 0 to 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> Spread:
    return Spread(samples=tuple(values))
