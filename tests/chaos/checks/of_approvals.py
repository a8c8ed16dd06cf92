"""Jobs that wait for a second person."""

from collections import Counter
from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.story import RUNNING, Story

REJECTED = "JobRejected"


def approved(story: Story, _: Thresholds, __: Figures) -> Iterator[Broken]:
    """By the history: a job that needs one starts only after a commit that says that it does not wait any more."""
    for job, changes in sorted(story.changes.items()):
        kind = story.kind_of(job)
        waits = False
        for change in changes:
            if change.before is None and kind.approval and not change.unapproved:
                yield _broken(job, story, "it was not put aside")
            if change.after == RUNNING and waits:
                yield _broken(job, story, "it started before anybody had approved it")
            waits = change.unapproved


def decided(story: Story, _: Thresholds, figures: Figures) -> Iterator[Broken]:
    """One decision at most is answered 200, and counts."""
    counted = Counter(each.job for each in story.record.decisions if each.status == 200)
    for each in story.record.decisions:
        figures.decisions[each.status] += 1
        row = story.rows.get(each.job)
        if each.status != 200 or row is None:
            continue
        if counted[each.job] > 1:
            yield _broken(each.job, story, f"{counted[each.job]} decisions were answered 200")
        if (row.exception_type == REJECTED) is (each.action == "APPROVE"):
            yield _broken(each.job, story, f"{each.action} was answered 200, and it ended as {row.exception_type}")


def _broken(job: int, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.APPROVED, what=f"job {job} ({story.kind_of(job).name}): {what}")


ALL = [approved, decided]
