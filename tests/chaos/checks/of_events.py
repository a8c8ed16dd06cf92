"""What the readers of live events were told."""

from collections.abc import Iterator

from jobs.states import TERMINAL
from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.story import Story


def last_states(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """Each knows of each job how it ended."""
    ended = {row.job: row.status for row in story.record.rows if row.status in TERMINAL}
    for listener, told in story.record.told.items():
        wrong = {job: status for job, status in ended.items() if told.get(str(job)) != status}
        if wrong:
            job, status = min(wrong.items())
            yield Broken(
                promise=Promise.EVENTS,
                what=f"{listener}: {len(wrong)} jobs end otherwise than it was told, such as job {job}: {status},"
                f" told {told.get(str(job))}",
            )


def nothing_too_early(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """No event comes before its commit, or tells of a state that was never committed."""
    committed: dict[tuple[int, str], float] = {}
    for change in story.record.changes:
        committed.setdefault((change.job, change.after), change.at)
    for heard in story.record.heard:
        at = committed.get((heard.job, heard.status))
        if at is None or heard.at < at:
            when = "which was never committed" if at is None else f"{at - heard.at:.3f} s before its commit"
            yield Broken(
                promise=Promise.EVENTS, what=f"{heard.listener}: told that job {heard.job} is {heard.status}, {when}"
            )


ALL = [last_states, nothing_too_early]
