"""How the tests of the checks judge a fabricated run."""

from tests.chaos.checks import Promise, Thresholds, Verdict, check
from tests.chaos.fabricated import Fabricated

_LIMITS = Thresholds()


def judge(run: Fabricated) -> Verdict:
    return check(run.record, _LIMITS)


def only(promise: Promise, run: Fabricated) -> str:
    """The one broken promise, and what was said about it."""
    verdict = judge(run)
    assert verdict.promises() == {promise}, verdict.broken
    return "; ".join(each.what for each in verdict.broken)


def fine(run: Fabricated) -> Verdict:
    verdict = judge(run)
    assert verdict.broken == []
    return verdict
