"""All devices or none: which step is allowed, and for whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F

from jobs.device_models import LOST
from jobs.end_reasons import EndReason, Failure
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.sql import deciding, store
from jobs.sql.device_signature import Batch, Stepped
from jobs.states import Status
from tests.fleet.parts import (
    aborted,
    begun,
    ended,
    in_thread,
    joined,
    joined_late,
    leave,
    lose,
    over,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def stepped(run: Any, taken: Any, steps: int) -> None:
    store().write_devices(run, Batch(stepped=[Stepped(one.id, steps) for one in taken]))


def failed(run: Any, taken: Any) -> None:
    store().write_devices(run, Batch(over=[over(one.id)._replace(failed=True, reason="it said no") for one in taken]))


def test_a_step_is_allowed_once_all_are_over_in_the_one_before() -> None:
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    _, more = store().take_devices(helper, 1)
    stepped(run, taken, 1)
    assert store().decide(run, 1, within=None).allowed is None
    stepped(helper, more, 1)
    assert store().decide(helper, 1, within=None).allowed
    assert store().decide(run, 1, within=None).allowed
    assert store().decide(run, 2, within=None).allowed is None


def test_no_step_is_allowed_while_a_device_waits() -> None:
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    assert store().decide(run, 1, within=None).allowed is None


def test_no_step_is_allowed_if_a_device_is_in_the_hands_of_one_that_has_left() -> None:
    """It was over when that one left, and a failover to a standby that was behind has lost that."""
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    store().take_devices(helper, 1)
    stepped(run, taken, 1)
    assert leave(helper).gone
    decision = store().decide(run, 1, within=None)
    assert (decision.allowed, decision.reason) == (False, LOST)


@pytest.mark.needs("postgresql")
@pytest.mark.parametrize("after", ["_left", "_why_not"])
def test_a_device_that_fails_while_it_is_decided_is_either_left_or_failed(
    postgresql: object, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Its participant stores it between the two questions."""
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    _, (failing,) = store().take_devices(helper, 1)
    stepped(run, taken, 1)
    ask = getattr(deciding, after)

    def asked(*args: Any) -> Any:
        answer = ask(*args)
        if not stored:
            stored.append(True)
            in_thread(lambda: failed(helper, [failing]))()
        return answer

    stored: list[bool] = []
    monkeypatch.setattr(deciding, after, asked)
    assert not store().decide(run, 1, within=None).allowed
    assert stored
    assert store().decide(run, 1, within=None).reason == "b"


@pytest.mark.needs("postgresql")
def test_a_participant_that_asks_while_another_decides_hears_the_same(postgresql: object) -> None:
    run, (first, second) = begun(["a", "b"], take=2, all_or_none=True)
    helper = joined_late(run)
    stepped(run, (first, second), 1)
    with transaction.atomic():
        assert store().decide(run, 1, within=None).allowed
        in_thread(lambda: failed(run, [second]))()
        asking = in_thread(lambda: store().decide(helper, 1, within=None))
        wait_until(lambda: Job.objects.raw("SELECT 1 AS id FROM pg_locks WHERE NOT granted"))
    assert asking().allowed


def test_a_participant_that_dies_before_the_decision_makes_it_a_no_and_after_it_changes_nothing() -> None:
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    _, more = store().take_devices(helper, 1)
    stepped(run, taken, 1)
    stepped(helper, more, 1)
    assert lose(helper)
    refused = store().decide(run, 1, within=None)
    assert (refused.allowed, refused.reason) == (False, "b")
    failed(run, taken)
    assert store().decide(run, 1, within=None) == refused  # whoever asks hears the same
    run, taken = begun_anew()
    stepped(run, taken[:1], 1)
    assert Participant.objects.filter(job_id=run.job_id).count() == 2
    other = Participant.objects.exclude(pk=run.run_token).get(job_id=run.job_id)
    JobDevice.objects.filter(job_id=run.job_id).update(steps_over=1)
    assert store().decide(run, 1, within=None).allowed
    transitions.lose(run.job_id, other.pk, type=EndReason.WORKER_LOST, message="gone")
    assert store().decide(run, 1, within=None).allowed  # it stands
    assert store().decide(run, 2, within=None).allowed is False


def begun_anew() -> tuple[Any, Any]:
    Job.objects.filter(status=Status.RUNNING.value).first()
    transitions.end_lost(Job.objects.get(status=Status.RUNNING.value), Failure(type="X", message="x"))
    run, taken = begun(["a", "b"], take=1, all_or_none=True)
    helper = joined(run)
    store().take_devices(helper, 1)
    return run, taken


def test_a_refusal_names_three_of_those_that_failed() -> None:
    run, taken = begun(["a", "b", "c", "d", "e"], take=5, all_or_none=True)
    failed(run, taken[1:])
    assert store().decide(run, 1, within=None).reason == "b, c, d"


def test_a_process_that_takes_part_no_more_decides_nothing() -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    joined_late(run)
    stepped(run, taken, 1)
    Participant.objects.filter(pk=run.run_token).delete()
    decision = store().decide(run, 1, within=None)
    assert (decision.allowed, decision.reason) == (False, "the run was ended by somebody else")


def test_a_step_that_took_too_long_is_the_last() -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    assert store().decide(run, 1, within=60).allowed
    stepped(run, taken, 2)
    assert store().decide(run, 2, within=60).allowed
    stepped(run, taken, 3)
    Fleet.objects.update(allowed_at=F("allowed_at") - timedelta(seconds=61))
    refused = store().decide(run, 3, within=60)
    assert refused.allowed is False
    assert "more than 60 seconds" in refused.reason


@pytest.mark.parametrize("stop", [aborted, ended])
def test_nobody_decides_for_a_job_that_was_told_to_stop(stop: Any) -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    stop(run)
    assert store().decide(run, 1, within=None).allowed is None


def test_an_end_that_is_noted_while_a_step_is_decided_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run, taken = begun(["a"], take=1, all_or_none=True)
    stepped(run, taken, 1)
    ask = deciding._why_not

    def asked(fleet: Fleet, within: float | None) -> str | None:
        store().note_end(run, "{}")
        return ask(fleet, within)

    monkeypatch.setattr(deciding, "_why_not", asked)
    assert store().decide(run, 1, within=None).allowed
    assert Fleet.objects.get().end == "{}"
