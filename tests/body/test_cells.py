"""What a child tells the main process in shared memory."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest

from jobs.body import cells
from jobs.body.cells import Stage
from jobs.body.execution import Execution
from tests import fake_jobs
from tests.factory import claimed


@pytest.fixture
def request_with_cell() -> SimpleNamespace:
    cells.allocate()
    return SimpleNamespace(cell=cells.take())


def test_every_stage_of_a_run_can_be_read(request_with_cell: SimpleNamespace) -> None:
    request = request_with_cell
    seen = []
    for tell in (cells.taken, cells.running, cells.storing, cells.done):
        tell(request)
        cells.allocate()  # again: what was told stays
        told = cells.read(request.cell)
        assert told is not None
        assert told.pid == os.getpid()
        seen.append((told.stage, told.began > 0))
    assert seen == [(Stage.CLAIMING, False), (Stage.RUNNING, True), (Stage.STORING, True), (Stage.DONE, True)]


def test_what_a_stage_promises_is_there_before_it(
    request_with_cell: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main process may look in between, and a body that seems to have begun at 0 is past each of its limits."""
    seen: list[Stage] = []

    def looks(answer: float) -> Callable[[], float]:
        def look() -> float:
            told = cells.read(request_with_cell.cell)
            assert told is not None
            seen.append(told.stage)
            return answer

        return look

    monkeypatch.setattr(cells, "os", SimpleNamespace(getpid=looks(7)))
    monkeypatch.setattr(cells, "time", SimpleNamespace(monotonic=looks(9.0)))
    cells.taken(request_with_cell)
    cells.running(request_with_cell)
    assert seen == [Stage.WAITING, Stage.CLAIMING]
    assert cells.read(request_with_cell.cell) == (Stage.RUNNING, False, 7, 9.0)


@pytest.mark.django_db(transaction=True)
def test_a_body_that_joins_others_has_run_as_long_as_they_have(request_with_cell: SimpleNamespace) -> None:
    run = claimed(fake_jobs.nothing.schedule())
    fake_jobs.nothing.push_request(cell=request_with_cell.cell)
    try:
        with suppress(RuntimeError):  # it left without its share of devices, which here is told to nobody, or to others
            Execution(run, joined=True, age=100.0).run_body(fake_jobs.nothing)
    finally:
        fake_jobs.nothing.pop_request()
    told = cells.read(request_with_cell.cell)
    assert told is not None
    assert (told.stage, 100 <= time.monotonic() - told.began < 150) == (Stage.RUNNING, True)


def test_another_process_sees_what_a_child_wrote(request_with_cell: SimpleNamespace) -> None:
    child = os.fork()
    if child == 0:
        cells.taken(request_with_cell)
        os._exit(0)
    os.waitpid(child, 0)
    told = cells.read(request_with_cell.cell)
    assert told is not None
    assert (told.stage, told.pid) == (Stage.CLAIMING, child)


def test_a_run_that_a_child_had_is_not_taken_by_another(request_with_cell: SimpleNamespace) -> None:
    """Its claim may have been granted; with the same token it would be granted again, and the body run twice."""
    assert cells.taken(request_with_cell)
    assert not cells.taken(request_with_cell)


def test_a_cell_given_back_begins_anew(request_with_cell: SimpleNamespace) -> None:
    number = request_with_cell.cell
    cells.done(request_with_cell)
    cells.give_back(number)
    taken = []
    while (one := cells.take()) is not None:
        taken.append(one)
    assert taken[-1] == number
    assert cells.read(number) == (Stage.WAITING, False, 0, 0.0)
    for one in taken:
        cells.give_back(one)


def test_without_a_worker_nothing_is_told() -> None:
    for tell in (cells.taken, cells.running, cells.storing, cells.done):
        tell(SimpleNamespace())
    cells.tell_to_leave(None)
    assert not cells.told_to_leave(SimpleNamespace())
    assert cells.read(None) is None


def test_limits_of_a_run_that_began_elsewhere_count_from_its_start(request_with_cell: SimpleNamespace) -> None:
    cells.running(request_with_cell, age=100.0)
    told = cells.read(request_with_cell.cell)
    assert told is not None
    assert 100 <= time.monotonic() - told.began < 160


def test_a_run_is_told_to_leave_and_the_next_in_its_cell_is_not(request_with_cell: SimpleNamespace) -> None:
    assert not cells.told_to_leave(request_with_cell)
    cells.tell_to_leave(request_with_cell.cell)
    assert cells.told_to_leave(request_with_cell)
    cells.give_back(request_with_cell.cell)
    taken = [cells.take() for _ in range(cells.CELLS)]
    assert not cells.told_to_leave(request_with_cell)
    for one in taken:
        if one is not None:
            cells.give_back(one)
