"""Each lock with its holder, since when, and who waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cnaasjobs.db.clock import database_now
from jobs.waiting.lines import COUNTED, Line, all_lines
from jobs.waiting.progress import Progress, progress_of
from locks import holders, service
from locks.holders import HolderState


@dataclass(frozen=True, kw_only=True)
class ShownLock:
    line: Line
    fence: int | None  # of the one who holds it
    held_for: timedelta | None
    state: HolderState | None  # None: nobody holds it, or the holder is gone
    progress: Progress | None

    @property
    def waiting(self) -> str:
        count = len(self.line.order)
        return f"{count} or more" if count >= COUNTED else f"{count}"

    @property
    def is_cut(self) -> bool:
        return len(self.line.order) > len(self.line.first)


def shown_locks() -> list[ShownLock]:
    """The locks that are held or waited for, by name."""
    now = database_now()
    fences = dict(service.held().values_list("name", "fence"))
    lines = all_lines()
    ids = [line.holder.job_id for line in lines if line.holder]
    states, progress = holders.provider().describe(ids), progress_of(ids)
    return [_shown(line, fences.get(line.name), now, states, progress) for line in lines]


def _shown(
    line: Line,
    fence: int | None,
    now: datetime,
    states: Mapping[int, HolderState],
    progress: Mapping[int, Progress],
) -> ShownLock:
    holder = line.holder
    return ShownLock(
        line=line,
        fence=fence if holder else None,
        held_for=max(now - holder.since, timedelta()) if holder else None,
        state=states.get(holder.job_id) if holder else None,
        progress=progress.get(holder.job_id) if holder else None,
    )
