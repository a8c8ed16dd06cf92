"""How a run is shared out among processes: each test once, no long one behind another, and all end together."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import loadscope

from tests.parallel import Scheduling

LONG = 30


class Process:
    """What a process of the run does: it begins a test when it knows the next one, or that there is none."""

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.shutting_down = False
        self.waiting: list[int] = []
        self.done: list[int] = []
        self.seconds = 0.0

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def may_begin(self) -> bool:
        return len(self.waiting) > 1 or (self.shutting_down and bool(self.waiting))


def run(monkeypatch: pytest.MonkeyPatch, names: list[str], seconds: Sequence[float], *, count: int) -> list[Process]:
    monkeypatch.setattr(loadscope, "parse_tx_spec_config", lambda config: range(count))
    config: Any = SimpleNamespace(option=SimpleNamespace(loadscopereorder=False))
    scheduling = Scheduling(config, Producer("test", enabled=False))
    processes: list[Any] = [Process(number) for number in range(count)]
    for process in processes:
        scheduling.add_node(process)
    for process in processes:
        scheduling.add_node_collection(process, names)
    scheduling.schedule()
    while able := [process for process in processes if process.may_begin]:
        process = min(able, key=lambda process: process.seconds + seconds[process.waiting[0]])
        test = process.waiting.pop(0)
        process.seconds += seconds[test]
        process.done.append(test)
        scheduling.mark_test_complete(process, test)
    return processes


@pytest.mark.parametrize("many", [1, 2, 5, 6, 7, 13, 79, 1000])
def test_each_is_run_once(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    names = [f"tests/x/test_x.py::test_{number}" for number in range(many)]
    processes = run(monkeypatch, names, [1.0] * many, count=6)

    assert sorted(test for process in processes for test in process.done) == list(range(many))
    assert max(process.seconds for process in processes) <= many / 6 + 3


def test_no_long_one_waits_behind_another(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tests/x/test_x.py::test_{number}" for number in range(1000)]
    processes = run(monkeypatch, names, [60.0 if number < LONG else 0.5 for number in range(1000)], count=6)

    for process in processes:
        assert not any(one < LONG and after < LONG for one, after in zip(process.done, process.done[1:], strict=False))
    ends = [process.seconds for process in processes]
    assert max(ends) - min(ends) < 10


def test_those_that_share_a_fixture_of_their_module_stay_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = [f"tests/run/test_splitter.py::test_{number}" for number in range(20)]
    names = [*shared, *(f"tests/x/test_x.py::test_{number}" for number in range(200))]
    processes = run(monkeypatch, names, [1.0] * 220, count=6)

    assert sum(1 for process in processes if set(process.done) & set(range(20))) == 1
