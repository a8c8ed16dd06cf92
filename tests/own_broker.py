"""For tests in parallel on a broker from outside: an address for each process, with queues of its own behind it.

Imported by every process that the tests start: nothing but the standard library.
"""

import os

BROKERS = "CNAASJOBS_TEST_BROKERS"  # their addresses, with blanks between


def addresses() -> list[str]:
    return os.environ.get(BROKERS, "").split()


def address() -> str | None:
    """The address for this process; None if there are none, or if it is the only process."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return addresses()[int(worker.removeprefix("gw"))] if worker and addresses() else None
