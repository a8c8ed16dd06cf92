"""What the web server answers: /readyz, and POSTs."""

from collections.abc import Iterator

from tests.chaos.checks.promises import Broken, Figures, Promise, Thresholds
from tests.chaos.record import Probe
from tests.chaos.story import Story


def truth(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """/readyz answers in time while the web server is up, and is never wrong about what has been so for a while."""
    web_down = story.maybe_down("web")
    for probe in story.record.probes:
        until = probe.at + probe.seconds
        if web_down.touches(probe.at, until):
            continue
        figures.probes += 1
        figures.slowest_answer = max(figures.slowest_answer, probe.seconds)
        if probe.status == 0 or probe.seconds > thresholds.answer:
            yield _untrue(probe, story, f"no answer within {thresholds.answer:g} s ({probe.seconds:.1f} s)")
            continue
        since = probe.at - thresholds.truth
        for component, is_ok in _expected(story, since, until).items():
            said = probe.states.get(component, "nothing")
            if (said == "ok") is not is_ok:
                yield _untrue(
                    probe, story, f'"{said}" of {component}, which {"was" if is_ok else "was not"} there all the time'
                )
        if (probe.status == 200) is not all(state == "ok" for state in probe.states.values()):
            yield _untrue(probe, story, f"status {probe.status} with {dict(probe.states)}")


def _expected(story: Story, since: float, until: float) -> dict[str, bool]:
    """What must be said of each component that was in one state all the time from ``since`` to ``until``."""
    found = {}
    for component in ("database", "broker"):
        if story.surely_down(component).covers(since, until):
            found[component] = False
        elif not story.maybe_down(component).touches(since, until):
            found[component] = True
    if found.get("database") is not True or since < story.record.since:
        return found  # workers and Beats are known by what they write there
    for role in ("worker", "beat"):
        lives = story.live_role(role)
        if any(live.covers(since, until) for live in lives):
            found[role] = True
        elif not any(live.seconds(since, until) for live in story.maybe_live(role)):
            found[role] = False
    return found


def _untrue(probe: Probe, story: Story, what: str) -> Broken:
    return Broken(promise=Promise.TRUTH, what=f"at {probe.at - story.record.since:.1f} s: {what}")


def posts(story: Story, thresholds: Thresholds, figures: Figures) -> Iterator[Broken]:
    """A POST is answered 200 in time, whatever the broker does; while the database is away 503, as fast.

    A 503 with the database there is true of one case: the web process had no processor in the middle of its
    transaction, so long that the database ended that. Then the answer took at least as long, and is still in time,
    and nothing else was away that could have held it up. The table counts these.
    """
    web, database, broker = story.maybe_down("web"), story.maybe_down("database"), story.maybe_down("broker")
    for post in story.record.posts:
        span = post.at, post.at + post.seconds
        if web.touches(*span):
            continue
        figures.posts += 1
        figures.slowest_post = max(figures.slowest_post, post.seconds)
        what = f"a POST at {post.at - story.record.since:.1f} s was answered {post.status} after {post.seconds:.2f} s"
        if post.seconds > thresholds.answer or post.status not in (200, 503):
            yield Broken(promise=Promise.POSTS, what=what)
        elif post.status == 503 and not database.touches(*span):
            if post.seconds < thresholds.idle or broker.touches(*span):
                yield Broken(promise=Promise.POSTS, what=f"{what}, with the database there")
            else:
                figures.starved += 1


ALL = [truth, posts]
