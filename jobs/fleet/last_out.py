"""What the last participant does before it ends the job: each device that is not over, or has no report, gets one."""

from collections.abc import Callable
from typing import TypeVar

from jobs.fleet.asking import until_answered
from jobs.fleet.body import Body
from jobs.fleet.result import ResultSoFar
from jobs.fleet.work import Work
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import Tally
from jobs.states import JobDeviceState

T = TypeVar("T")


def complete(body: Body, run: Run, work: Work, tally: Tally, result: ResultSoFar) -> Tally:
    """All devices together, when nothing is missing any more. (Those that were never begun still wait.)"""

    def persist(ask: Callable[[], T]) -> T:
        return until_answered(body.database, ask, job_id=run.job_id)

    def anew() -> Tally:
        result.forget()
        return persist(lambda: store().tally(run.job_id)) or tally

    # Nobody has a device in hand any more: that such a one was over was written, and lost.
    if tally.over < tally.devices and persist(lambda: store().lose_unrecorded(run, JobDeviceState.TAKEN)):
        tally = anew()
    if tally.unreported and work.given.lost is not None:
        lost = persist(lambda: store().unreported_devices(run.job_id))
        reports = work.reports_of_lost(lost, work.given.lost)
        persist(lambda: store().write_reports(reports))
        tally = anew()
    return tally
