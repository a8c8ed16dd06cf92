"""Sets of time as sorted, disjoint spans, with which the checks count."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[float, float]


class Spans:
    """An immutable set of time. Spans given may overlap and come in any order; empty ones are dropped."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        merged: list[Span] = []
        for since, until in sorted(spans):
            if until <= since:
                continue
            if merged and since <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], until)
            else:
                merged.append((since, until))
        self.spans = merged
        self._since = [since for since, _ in merged]
        self._before = [0.0]  # seconds in all spans before the one of that index
        for since, until in merged:
            self._before.append(self._before[-1] + until - since)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __or__(self, other: "Spans") -> "Spans":
        return Spans([*self.spans, *other.spans])

    def __and__(self, other: "Spans") -> "Spans":
        return Spans(
            (max(since, start), min(until, end))
            for since, until in self.spans
            for start, end in other.within(since, until)
        )

    def __sub__(self, other: "Spans") -> "Spans":
        if not self.spans:
            return self
        return self & other.inverted(self.spans[0][0], self.spans[-1][1])

    def inverted(self, since: float, until: float) -> "Spans":
        """What of [since, until] is not in it."""
        gaps = []
        for start, end in self.within(since, until):
            gaps.append((since, start))
            since = max(since, end)
        return Spans([*gaps, (since, until)])

    def within(self, since: float, until: float) -> Iterator[Span]:
        """The spans that touch [since, until], uncut."""
        index = max(bisect_right(self._since, since) - 1, 0)
        while index < len(self.spans) and self.spans[index][0] < until:
            if self.spans[index][1] > since:
                yield self.spans[index]
            index += 1

    def at(self, time: float) -> Span | None:
        """The span that holds this moment."""
        index = bisect_right(self._since, time) - 1
        if index >= 0 and self.spans[index][1] >= time:
            return self.spans[index]
        return None

    def covers(self, since: float, until: float) -> bool:
        """True if all of [since, until] is in it."""
        span = self.at(since)
        return span is not None and span[1] >= until

    def touches(self, since: float, until: float) -> bool:
        """True if any of [since, until] is in it."""
        return any(True for _ in self.within(since, until)) or self.at(since) is not None or self.at(until) is not None

    def seconds(self, since: float, until: float) -> float:
        """How much of [since, until] is in it."""
        return self._up_to(until) - self._up_to(since) if until > since else 0.0

    def _up_to(self, time: float) -> float:
        index = bisect_right(self._since, time) - 1
        if index < 0:
            return 0.0
        since, until = self.spans[index]
        return self._before[index] + min(time, until) - since


def crowded(spans: Iterable[Span], slots: int) -> Spans:
    """When at least ``slots`` of these spans were under way at once."""
    edges = sorted(
        [(since, 1) for since, until in spans if until > since]
        + [(until, -1) for since, until in spans if until > since]
    )
    found, depth, since = [], 0, 0.0
    for time, step in edges:
        if depth < slots <= depth + step:
            since = time
        elif depth + step < slots <= depth:
            found.append((since, time))
        depth += step
    return Spans(found)
