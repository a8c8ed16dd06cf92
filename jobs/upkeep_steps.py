"""The names of upkeep's steps, as the log and ``/metrics`` have them."""

from enum import StrEnum
from typing import Final


class UpkeepStep(StrEnum):
    RESCUE = "rescue"
    ORPHANS = "orphans"
    FREE_LOCKS = "free_locks"
    WAKE = "wake"
    LOCK_WAIT = "lock_wait"
    APPROVALS = "approvals"
    INVITE = "invite"
    REPUBLISH = "republish"
    PRUNE = "prune"
    TOTALS = "totals"
    METRICS = "metrics"
    RESULTS = "results"
    CREDENTIALS = "credentials"
    AUDIT_SEAL = "audit_seal"
    UNSERVED = "unserved"


# These put right what a fault left behind.
REPAIRING: Final = frozenset(
    {
        UpkeepStep.RESCUE,
        UpkeepStep.ORPHANS,
        UpkeepStep.FREE_LOCKS,
        UpkeepStep.WAKE,
        UpkeepStep.LOCK_WAIT,
        UpkeepStep.REPUBLISH,
    }
)
