"""The check of what listeners were told can fail."""

import pytest

from tests.chaos.checks import Promise
from tests.chaos.checks.judging import only
from tests.chaos.fabricated import Fabricated


@pytest.mark.parametrize("told", [{}, {"1": "RUNNING"}])
def test_a_listener_that_was_not_told_of_an_end(run: Fabricated, told: dict[str, str]) -> None:
    ended = {str(row.job): row.status for row in run.record.rows}
    run.record.told = {"stream": ended, "front end": {**ended, **dict.fromkeys(ended, "RUNNING"), **told}}
    found = only(Promise.EVENTS, run)
    assert found.startswith("front end: ")
