"""How a run is shared out among processes (``make test``, ``pytest -n auto``): most of a test's time is waiting.

What takes long begins first, so that nobody waits for it at the end, and each process takes a next one when it is free.
"""

import gc
import os
from collections import OrderedDict
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests import copies, own_broker

PER_CORE = 3
MOST = 8
AT_A_TIME = 8  # short tests, at most
SELDOM = (10_000, 20, 50)  # new objects until garbage among them is looked for; rounds until among older ones, and all

# Tests that share what takes long to start, a browser and its servers. Those of the second take minutes by themselves.
_BROWSER, _ACCESSIBLE = "tests/browser/", "tests/browser/test_accessible.py"
_ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Tests clear the queues of the broker that they are given: where there is only one, they run one by one."""
    processes = min(PER_CORE * len(os.sched_getaffinity(0)), MOST)
    if os.environ.get("CELERY_BROKER_URL"):
        return min(processes, len(own_broker.addresses()))
    return processes


def pytest_configure(config: pytest.Config) -> None:
    if config.option.dist != "no" and not config.option.collectonly:
        command = copies.begin(config)
        config.option.tx = [f"popen//python={command}" if tx == "popen" else tx for tx in config.option.tx]
    copies.look_at_settings()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """What is collected stays to the end: the garbage collector need not look through it, then or later.

    And it looks for garbage less often: as it does by itself, it takes a sixth of the tests' own processor time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(*SELDOM)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After pytest-randomly, which mixes them."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Long ones first, then those that start processes and mostly wait, then the others: no core idles at the end."""
    long = item.get_closest_marker("long")
    if _together(item.nodeid) or (long and long.args):
        return 0
    if long:
        return 1
    if "platform" in getattr(item, "fixturenames", []):
        return 2
    return 3 if item.get_closest_marker("needs") else 4


@cache
def _modules_together() -> frozenset[str]:
    """Modules whose tests share a fixture of theirs: in several processes it would be made several times."""
    found = [path for path in (_ROOT / "tests").rglob("test_*.py") if 'scope="module"' in path.read_text()]
    return frozenset(str(path.relative_to(_ROOT)) for path in found)


def _together(nodeid: str) -> str | None:
    """What the tests have in common that one process runs one after the other."""
    module = nodeid.partition("::")[0]
    if module.startswith(_BROWSER) and module != _ACCESSIBLE:
        return _BROWSER
    return module if module == _ACCESSIBLE or module in _modules_together() else None


class Scheduling(LoadScopeScheduling):
    """A test, or the tests that stay together, to whoever is free, in the order that they were collected in.

    A process begins a test only when it knows its next one. What waits behind a long test must not be another long one,
    so each process is given in turn one from the front of the queue and some short ones from its end.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._ends_with_short: dict[WorkerController, bool] = {}

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid) or nodeid

    def _assign_work_unit(self, node: WorkerController) -> None:
        queue: OrderedDict[str, dict[str, bool]] = self.workqueue
        short = not self._ends_with_short.get(node, True)
        self._ends_with_short[node] = short
        share = len(queue) // (2 * len(self.nodes))  # less at a time towards the end, so that all end together
        for _ in range(max(1, min(AT_A_TIME, share)) if short else 1):
            if short:
                queue.move_to_end(next(reversed(queue)), last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        work = self.assigned_work[node]
        for scope in [scope for scope, tests in work.items() if all(tests.values())]:
            del work[scope]  # xdist counts through all of them at each report
        # More than once for one that takes the place of another that died: it has none.
        while not node.shutting_down and (not self.workqueue or self._pending_of(work) < 2):
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)
