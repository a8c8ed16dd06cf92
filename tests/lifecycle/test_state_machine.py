"""The lifecycle's property-based test, on both databases."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle.machine import LifecycleMachine
from tests.services import PostgreSQL

SETTINGS = settings(
    max_examples=50,  # each of up to 50 calls, others in every run
    stateful_step_count=50,
    database=None,
    print_blob=True,
)


@pytest.mark.timeout(900)  # it computes all the time: 14 s alone, more than 300 where others use the cores too
@pytest.mark.long("minutes")
@pytest.mark.django_db(transaction=True)
def test_any_calls_in_any_order_keep_to_the_model() -> None:
    """On the suite's own database: SQLite unless DATABASE_URL names another."""
    run_state_machine_as_test(LifecycleMachine, settings=SETTINGS)


@pytest.mark.timeout(900)  # it computes all the time: 14 s alone, more than 300 where others use the cores too
@pytest.mark.long("minutes")
@pytest.mark.needs("postgresql")
def test_any_calls_in_any_order_keep_to_the_model_on_postgresql(postgresql: PostgreSQL) -> None:
    run_state_machine_as_test(LifecycleMachine, settings=SETTINGS)
