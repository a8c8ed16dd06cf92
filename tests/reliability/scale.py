"""How long tests of promises that speak of minutes take: every threshold and outage is divided by one factor.

``CNAASJOBS_TEST_FULL_LENGTH=1`` makes the factor 1: the run for the record.
"""

import os

FULL_LENGTH = "CNAASJOBS_TEST_FULL_LENGTH"
FACTOR = 1.0 if os.environ.get(FULL_LENGTH) == "1" else 15.0
IN_TRANSACTION_SECONDS = 20.0  # after which PostgreSQL ends what a frozen process has begun: it is not divided
# What one of upkeep's rounds costs is not divided, and other tests run beside. This is a third of how long a worker may
# be silent: one look counts that much time at most (`jobs.liveness.lost`).
ROUND_SECONDS = 0.66


def scaled(seconds: float) -> float:
    """What ``seconds`` of a promise are in this run."""
    return seconds / FACTOR


def within(seconds: float) -> float:
    """How long a test waits for what a promise gives ``seconds``: in the short run, also for a machine that is busy."""
    return seconds if FACTOR == 1.0 else scaled(seconds) + IN_TRANSACTION_SECONDS + 15.0


def thresholds() -> dict[str, str]:
    """The product's settings in this run: its defaults, divided; upkeep looks no more often than needed."""
    defaults = {
        "CNAASJOBS_HEARTBEAT_SECONDS": 2.0,
        "CNAASJOBS_WORKER_LOST_SECONDS": 30.0,
        "CNAASJOBS_UPKEEP_SECONDS": 2.0,
        "CNAASJOBS_REPUBLISH_AFTER_SECONDS": 10.0,
        "CNAASJOBS_SHUTDOWN_GRACE_SECONDS": 60.0,
    }
    divided = {name: scaled(seconds) for name, seconds in defaults.items()}
    divided["CNAASJOBS_UPKEEP_SECONDS"] = max(divided["CNAASJOBS_UPKEEP_SECONDS"], ROUND_SECONDS)
    return {name: f"{seconds:.3f}" for name, seconds in divided.items()}
