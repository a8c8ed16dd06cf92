"""What an Idempotency-Key promises a client that got a 503 or no answer, and the jobs nobody was told of."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Post
from tests.chaos.story import DELETED, Story

NOT_KNOWN = "not known"  # in the answer to a POST whose commit got none


def keys(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """By the history: each key stands for one job in the end, and every 200 named that one."""
    made, withdrawn = _made(story), _withdrawn(story)
    posts: dict[str, list[Post]] = defaultdict(list)
    for post in story.record.posts:
        posts[post.key].append(post)
    for key, asked in posts.items():
        figures.refused += sum(1 for post in asked if post.status == 503)
        figures.unknown += sum(1 for post in asked if NOT_KNOWN in post.says)
        figures.repeated += len(asked) > 1
        answers = {post.job for post in asked if post.status == 200}
        stand = set(made[key]) - withdrawn
        if len(answers) > 1:
            yield _key(key, f"was answered with several jobs: {sorted(map(str, answers))}")
        if len(stand) > 1:
            yield _key(key, f"made several jobs: {sorted(stand)}")
        if gone := answers & withdrawn:
            yield _key(key, f"was answered with a job that was withdrawn: {sorted(map(str, gone))}")
        for post, following in zip(asked, [*asked[1:], None], strict=True):
            until = story.record.until if following is None else following.at
            stored = [job for job, at in made[key].items() if post.at <= at < until]
            if post.status == 503 and NOT_KNOWN not in post.says and stored:
                yield _key(key, f"was refused for certain ({post.says}), and job {stored[0]} was stored")


def withdrawn(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """By ledger and history."""
    accepted = {each.job for each in story.record.accepted}
    ran = {run.job for run in story.runs.values() if run.claim is not None or run.begins}
    for job in sorted(_withdrawn(story)):
        figures.withdrawn += 1
        if job in ran:
            yield Broken(promise=Promise.WITHDRAWN, what=f"job {job} was withdrawn, and had run")
        if job in accepted:
            yield Broken(promise=Promise.WITHDRAWN, what=f"job {job} was withdrawn after it was accepted")


def _made(story: Story) -> dict[str, dict[int, float]]:
    """The jobs that each key inserted, with the time of the commit."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for change in story.record.changes:
        if change.before is None and change.key:
            found[change.key][change.job] = change.at
    return found


def _withdrawn(story: Story) -> set[int]:
    return {change.job for change in story.record.changes if change.after == DELETED}


def _key(key: str, what: str) -> Broken:
    return Broken(promise=Promise.KEYS, what=f"Idempotency-Key {key} {what}")


ALL = [keys, withdrawn]
