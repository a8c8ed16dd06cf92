"""The steps of upkeep: one that fails does not stop the others."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from cnaasjobs.conf import conf
from jobs.metrics import counted_here
from jobs.upkeep import runner
from jobs.upkeep.runner import Step, Upkeep, chores, repairs
from jobs.upkeep_steps import UpkeepStep
from locks.models import Lock
from tests.switching import database_fails

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_failing_step_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []

    def broken() -> int:
        called.append("broken")
        raise ValueError("out of order")

    def away() -> int:
        called.append("away")
        raise OperationalError("server closed the connection")

    def works() -> int:
        called.append("works")
        return 3

    upkeep = Upkeep([Step(UpkeepStep.RESCUE, broken), Step(UpkeepStep.WAKE, away), Step(UpkeepStep.PRUNE, works)])
    assert 0 < upkeep.step() <= 2.0
    assert called == ["broken", "away", "works"]
    assert "upkeep's step rescue fails: out of order" in caplog.text
    assert "upkeep: prune 3" in caplog.text


def test_a_fault_that_lasts_is_not_logged_each_time(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> int:
        raise ValueError("out of order")

    step = Step(UpkeepStep.RESCUE, broken)
    for _ in range(50):
        step.call()
    assert len(caplog.records) == 1


def test_a_step_that_may_be_slow_takes_a_twentieth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0

    def slow() -> int:
        nonlocal now
        now += 3.0
        return 0

    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: now))
    rare, other = Step(UpkeepStep.UNSERVED, slow, rare=True), Step(UpkeepStep.TOTALS, slow)
    rare.call()
    other.call()
    assert (rare.next_at, other.next_at) == (100.0 + 20 * 3.0, 103.0 + conf.upkeep_seconds)


def test_a_step_with_nothing_to_do_is_not_called_and_has_succeeded(
    caplog: pytest.LogCaptureFixture, django_assert_num_queries: Any
) -> None:
    called: list[str] = []

    def acts(name: str) -> int:
        called.append(name)
        Lock.objects.filter(name=name).delete()
        return 1

    def step(step: UpkeepStep, name: str) -> Step:
        return Step(step, partial(acts, name), lambda: Lock.objects.filter(name=name))

    one, other = step(UpkeepStep.WAKE, "one"), step(UpkeepStep.LOCK_WAIT, "other")
    other.complaint.failed(ValueError("it did not work before"))
    Lock.objects.create(name="one")
    upkeep = Upkeep([one, other])
    assert 0 < upkeep.step() <= conf.upkeep_seconds
    assert called == ["one"]
    assert "upkeep's step lock_wait works again" in caplog.text
    counted_here.taken()
    one.next_at = other.next_at = 0.0
    with django_assert_num_queries(1):
        upkeep.step()
    assert called == ["one"]
    assert {labels for _, labels in counted_here.taken().states} == {("wake",), ("lock_wait",)}


def test_where_it_can_not_be_said_which_steps_have_anything_to_do_each_says_itself() -> None:
    called: list[str] = []

    def works() -> int:
        called.append("works")
        return 0

    upkeep = Upkeep([Step(UpkeepStep.WAKE, works, Lock.objects.all)])
    with database_fails(asked_about="EXISTS"):
        upkeep.step()
    assert called == ["works"]


def test_every_step_runs_on_an_empty_database() -> None:
    for upkeep in (repairs(own_heartbeat=lambda: None), chores()):
        upkeep.step()  # which skips most of them, for there is nothing to do
        for step in upkeep.steps:
            step.call()
        assert [step.name for step in upkeep.steps if step.complaint._since is not None] == []


def test_every_step_that_has_a_name_is_run() -> None:
    """/metrics waits for the success of each."""
    names = [step.name for upkeep in (repairs(own_heartbeat=lambda: None), chores()) for step in upkeep.steps]
    assert sorted(names) == sorted(UpkeepStep)
