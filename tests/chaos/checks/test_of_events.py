"""The check of what listeners were told can fail."""

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import fine, only
from tests.chaos.fabricated import Fabricated
from tests.chaos.record import Heard


@pytest.mark.parametrize("told", [{}, {"1": "RUNNING"}])
def test_a_listener_that_was_not_told_of_an_end_is_found(run: Fabricated, told: dict[str, str]) -> None:
    ended = {str(row.job): row.status for row in run.record.rows}
    run.record.told = {"stream": ended, "front end": {**ended, **dict.fromkeys(ended, "RUNNING"), **told}}
    found = only(Promise.EVENTS, run)
    assert found.startswith("front end: ")


@pytest.mark.parametrize(("status", "before"), [("FINISHED", 0.5), ("EXCEPTION", 0.0)])
def test_an_event_before_its_commit_or_of_what_was_rolled_back_is_found(
    run: Fabricated, status: str, before: float
) -> None:
    end = next(change for change in run.record.changes if change.after == "FINISHED")
    run.record.heard = [Heard(listener="stream", job=end.job, status="FINISHED", at=end.at)]
    fine(run)
    run.record.heard = [Heard(listener="stream", job=end.job, status=status, at=end.at - before)]
    assert f"job {end.job} is {status}" in only(Promise.EVENTS, run)
