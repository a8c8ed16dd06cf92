"""The stored counters. Whoever adds to them has locked the mark's row: no two processes write one at a time."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from jobs.metric_models import MetricCount, MetricMark
from jobs.metrics.families import SECONDS, Family

Key = tuple[str, tuple[str, ...]]
MOST_LABELS: Final = 200  # sets of labels of one family; what is beyond counts as "other"
OTHER: Final = "other"
_LONGEST: Final = 500  # characters of a set of labels, as the column has it


class Additions:
    """What is to be added, all at once."""

    def __init__(self) -> None:
        self.counts: defaultdict[Key, float] = defaultdict(float)
        self.spread: dict[Key, list[int]] = {}
        self.states: dict[Key, float] = {}

    def count(self, family: Family, *labels: str, by: float = 1) -> None:
        self.counts[family.name, labels] += by

    def observe(self, family: Family, *labels: str, bucket: int, times: int, seconds: float) -> None:
        """``times`` values of one bucket; ``seconds`` of them all together."""
        key = family.name, labels
        self.counts[key] += seconds
        self.spread.setdefault(key, [0] * (len(SECONDS) + 1))[bucket] += times

    def state(self, family: Family, *labels: str, value: float) -> None:
        """Set a value that replaces the one before; of times the latest stays."""
        self.states[family.name, labels] = value

    def include(self, older: "Additions") -> None:
        """Add what was seen before this; where both have a state, this one's stays."""
        for key, value in older.counts.items():
            self.counts[key] += value
        for key, value in older.states.items():
            self.states.setdefault(key, value)
        for key, spread in older.spread.items():
            here = self.spread.get(key, [0] * len(spread))
            self.spread[key] = [one + other for one, other in zip(here, spread, strict=True)]

    def __bool__(self) -> bool:
        return bool(self.counts or self.states)


def add(additions: Additions, mark: MetricMark) -> None:
    """Add these to the stored metrics. The caller has begun a transaction and locked ``mark``."""
    rows = {(row.name, row.labels): row for row in MetricCount.objects.all()}
    sizes: defaultdict[str, int] = defaultdict(int)
    for name, _ in rows:
        sizes[name] += 1
    changed: dict[tuple[str, str], MetricCount] = {}

    def row_of(key: Key) -> MetricCount:
        name, labels = key
        stored = name, json.dumps(labels, ensure_ascii=False)
        if stored not in rows and (sizes[name] >= MOST_LABELS or len(stored[1]) > _LONGEST):
            stored = name, json.dumps([OTHER] * len(labels))
        if stored not in rows:
            rows[stored] = MetricCount(name=stored[0], labels=stored[1])
            sizes[name] += 1
        return changed.setdefault(stored, rows[stored])

    for key, value in additions.counts.items():
        row_of(key).value += value
    for key, spread in additions.spread.items():
        row = row_of(key)
        before = json.loads(row.buckets) or [0] * len(spread)
        row.buckets = json.dumps([one + other for one, other in zip(before, spread, strict=True)])
    for key, at in additions.states.items():
        row = row_of(key)
        row.value = max(row.value, at) if "timestamp" in row.name else at
    known = [row for row in changed.values() if not row._state.adding]
    MetricCount.objects.bulk_create([row for row in changed.values() if row._state.adding])
    MetricCount.objects.bulk_update(known, ["value", "buckets"])


Kept = tuple[list[str], float, list[int]]  # labels, value, buckets


def all_kept() -> Mapping[str, list[Kept]]:
    """Everything in the table, by the name of its family."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for name, labels, value, buckets in MetricCount.objects.values_list("name", "labels", "value", "buckets"):
        found[name].append((json.loads(labels), value, json.loads(buckets)))
    return found
