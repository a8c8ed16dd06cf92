"""Which live syncs need a second person: those that no dry run has shown, and those whose dry run scored too high."""

from collections.abc import Mapping
from typing import Any, Final

from cnaasjobs.conf import conf
from jobs.models import Job
from jobs.schedulable import Ending
from jobs.states import Status

_DRY_RUN: Final = "sync_devices (dry_run)"


def why_needed(arguments: Mapping[str, Any], ending: Ending | None) -> str | None:
    """Why this sync needs approval, in words; None if it needs none.

    A live sync with a ``plan`` changes nothing but what that dry run showed, so its score is the sync's.
    """
    limit = conf.approval_score
    if limit is None or arguments["dry_run"]:
        return None
    plan = arguments.get("plan")
    if plan is None:
        return "no dry run has shown what it changes"
    score = ending.change_score if ending is not None and ending.job_id == plan else _score(plan)
    if score is None:
        return f"no dry run {plan} has shown what it changes"
    return f"dry run {plan} scored {score}, which is above {limit:g}" if score > limit else None


def _score(job_id: int) -> int | None:
    """The change score of a dry run; None if there is no such dry run, or it did not finish."""
    rows = Job.objects.filter(pk=job_id, status=Status.FINISHED.value, function_name=_DRY_RUN)
    return rows.values_list("change_score", flat=True).first()
