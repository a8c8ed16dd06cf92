"""A good record, which each test breaks in one place."""

import pytest

from tests.chaos.fabricated import SECOND_CHILD, Fabricated


@pytest.fixture
def run() -> Fabricated:
    """Three jobs of three kinds, all well."""
    run = Fabricated()
    run.whole_job(1, at=1)
    run.whole_job(2, "fan", at=2, lock="north", fence=1)
    run.whole_job(3, "fan", at=5, lock="north", fence=2, pid=SECOND_CHILD, worker="w2@host")
    return run
