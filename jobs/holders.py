"""What the locks app may ask and tell of the jobs that hold locks."""

from collections.abc import Collection, Mapping

from jobs import audit, dispatch
from jobs.models import Job
from jobs.states import TERMINAL
from locks.holders import HolderState, register


class JobHolders:
    """The provider that jobs registers with locks."""

    def describe(self, holder_ids: Collection[int]) -> Mapping[int, HolderState]:
        rows = Job.objects.filter(pk__in=holder_ids).values_list("id", "status", "abort_reason")
        return {
            job_id: HolderState(status=status, running=status not in TERMINAL, abort=reason is not None)
            for job_id, status, reason in rows
        }

    def wake(self, lock_name: str) -> None:
        dispatch.wake(lock_name)

    def audit(self, *, action: str, who: str, origin: str, lock_name: str, holder_id: int | None) -> None:
        audit.record(action=action, who=who, origin=origin, lock_name=lock_name, job_id=holder_id)


register(JobHolders())
