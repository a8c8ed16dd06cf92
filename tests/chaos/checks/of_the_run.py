"""Whether the run itself proves anything: whether its faults hit what they were meant to hit."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.ledger import Event
from tests.chaos.story import Story


def clock(story: Story, thresholds: Thresholds, _: Figures) -> Iterator[Broken]:
    """The checks compare wall clocks, and mean nothing if the machine's was set meanwhile."""
    offsets = [line.wall - line.mono for line in story.record.lines if line.event is Event.BEGIN]
    if offsets and max(offsets) - min(offsets) > thresholds.clock:
        yield Broken(
            promise=Promise.CLOCK, what=f"wall and monotonic clock drifted by {max(offsets) - min(offsets):.3f} s"
        )


def hits(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """A fault that only ever struck an idle fleet has shown nothing."""
    struck: Counter[str] = Counter()
    for fault in story.record.faults:
        struck[fault.kind] += fault.hits
    for kind, count in sorted(struck.items()):
        if count == 0:
            yield Broken(promise=Promise.HITS, what=f"no fault of kind {kind} hit a RUNNING job or a held lock")


ALL = [clock, hits]
