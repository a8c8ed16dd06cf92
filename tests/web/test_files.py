"""How many connections a process takes where the system gives it few files."""

import subprocess
import sys
from itertools import count
from pathlib import Path

import psutil
import pytest

from cnaasjobs.web.files import CONNECTIONS, FEWEST
from tests.services.processes import ROOT, Platform
from tests.waiting import wait_until
from tests.web.test_going_away import served
from tests.web.test_slow_clients import many_clients

# Of files: how many a process has, and may have at most; of threads; and what follows: of connections, of files.
LIMITS = (
    ((1024, 4096), 8, (CONNECTIONS, 1024)),
    ((256, 4096), 8, (CONNECTIONS, 996)),  # it asks for what it may have
    ((1024, 4096), 256, (CONNECTIONS, 1988)),
    ((256, 256), 8, (160, 256)),  # 64 are the process's own, and four each thread's
    ((64, 64), 8, (FEWEST, 64)),
)
PROGRAM = """
import resource
from cnaasjobs.web.files import connections_for
for limits, threads in {}:
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    print(connections_for(threads), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_they_fit_into_its_files() -> None:
    """In another process: one that gave up files gets none back."""
    program = PROGRAM.format([(limits, threads) for limits, threads, _ in LIMITS])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    found = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert found == [expected for *_, expected in LIMITS]


@pytest.mark.django_db(transaction=True)
def test_a_process_without_files_says_so_and_answers_all_the_same(platform: Platform) -> None:
    """Whoever waits makes room. The listener, which stays readable, is left alone for a moment."""
    with served(platform) as web, many_clients(platform, b"", 40):
        web.check()  # its connection to the database is open
        wait_until(lambda: web.clients() >= 40)
        (worker,) = web.workers
        is_open = {int(each.name) for each in Path(f"/proc/{worker.pid}/fd").iterdir()}
        first_free = next(number for number in count() if number not in is_open)
        worker.rlimit(psutil.RLIMIT_NOFILE, (first_free, first_free))
        web.check()
    assert web.platform.processes[-1].output().count("No connection can be accepted") == 1
