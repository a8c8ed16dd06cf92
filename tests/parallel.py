"""How a run is shared out among processes (``make test``, ``pytest -n auto``): most of a test's time is waiting.

What takes long begins first, so that nobody waits for it at the end; each process takes a next test when it is free.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import own_broker

PER_CORE = 3
MOST = 8

# Their tests share what takes long to start: a browser, a web server, `make run`.
_TOGETHER = ("tests/browser/", "tests/run/test_running.py", "tests/api/test_web_server.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Tests clear the queues of the broker that they are given: where there is only one, they run one by one."""
    processes = min(PER_CORE * len(os.sched_getaffinity(0)), MOST)
    if os.environ.get("CELERY_BROKER_URL"):
        return min(processes, len(own_broker.addresses()))
    return processes


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After pytest-randomly, which mixes them."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Long ones first, then those that start processes and mostly wait, then the others: no core idles at the end."""
    if item.get_closest_marker("long") or item.nodeid.startswith(_TOGETHER):
        return 0
    return 1 if "platform" in getattr(item, "fixturenames", []) else 2


class Scheduling(LoadScopeScheduling):
    """A test, or the tests that stay together, to whoever is free, in the order that they were collected in."""

    def _split_scope(self, nodeid: str) -> str:
        return next((prefix for prefix in _TOGETHER if nodeid.startswith(prefix)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    config.option.loadscopereorder = False
    return Scheduling(config, log)
