"""What those who listened to live events were told."""

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


ALL = [last_states]
