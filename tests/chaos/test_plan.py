"""The plan and the code that carries it out know the same kinds."""

from pathlib import Path

import pytest

from tests.chaos.faults import Injector
from tests.chaos.fleet import Fleet
from tests.chaos.plan import BURSTING, FAULTS, POSTED_AT, SHORT, draw


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, worker_lost_seconds=10, workers=1, beats=1, mutant="")


def test_each_kind_of_fault_can_be_injected(fleet: Fleet) -> None:
    try:
        assert set(Injector(fleet, worker_lost_seconds=10).kinds) == set(FAULTS)
    finally:
        fleet.stop()


def test_its_copy_of_the_source_has_each_app(fleet: Fleet) -> None:
    try:
        fleet.platform.manage("check", "--verbosity", "0")
    finally:
        fleet.stop()


def test_the_same_seed_draws_the_same_plan() -> None:
    assert draw(seed=1, jobs=200, faults=30, jobs_per_second=4) == draw(seed=1, jobs=200, faults=30, jobs_per_second=4)


def test_a_plan_of_all_kinds_has_each() -> None:
    plan = draw(seed=2, jobs=600, faults=len(FAULTS), jobs_per_second=4)
    assert {fault.kind for fault in plan.faults} == set(FAULTS)
    (commit,) = (fault for fault in plan.faults if fault.kind == POSTED_AT)
    assert any(post.at < 1 for post in commit.posts)
    assert set(BURSTING) < set(FAULTS)


def test_the_short_form_has_each_kind_of_silence_at_times() -> None:
    drawn = {
        fault.kind
        for seed in range(30)
        for fault in draw(seed=seed, jobs=200, faults=10, jobs_per_second=4, kinds=SHORT).faults
    }
    assert drawn == set(SHORT)
    assert {kind for kind in FAULTS if "cut off" in kind or "vanished" in kind or "no writes" in kind} < drawn
