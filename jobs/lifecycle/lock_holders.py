"""What the locks app may ask and tell of the jobs that hold locks."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.urls import reverse

from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import line
from jobs.errors import JobNotFound, NotAllowed
from jobs.models import Job
from jobs.rights.decide import CLEAR, require_for
from jobs.rights.reach import EVERYWHERE, reach_of
from jobs.rights.selected import DevicesUnknown
from jobs.states import TERMINAL
from locks.holders import HolderState, register


class JobHolders:
    """The provider that jobs registers with locks."""

    def describe(self, holder_ids: Collection[int]) -> Mapping[int, HolderState]:
        rows = Job.objects.filter(pk__in=holder_ids).values_list("id", "status", "abort_reason", "function_name")
        return {
            job_id: HolderState(
                status=status,
                running=status not in TERMINAL,
                abort=reason is not None,
                title=f"job {job_id}: {function_name}",
                url=reverse("admin:jobs_job_change", args=[job_id]),
            )
            for job_id, status, reason, function_name in rows
        }

    def waiting(self, lock_names: Collection[str], *, at_most: int) -> Mapping[str, int]:
        return {name: line.of(name)[:at_most].count() for name in lock_names}

    def wake(self, lock_name: str) -> None:
        line.wake(lock_name)

    def cleared(self, lock_name: str, *, holder_id: int, who: str, origin: str) -> None:
        trail.add(Deed.CLEARED, who=who, origin=origin, lock_name=lock_name, job_id=holder_id)

    def refuses(self, user: Any, holder_id: Callable[[], int | None]) -> str | None:
        if reach_of(user, CLEAR) is EVERYWHERE or (job_id := holder_id()) is None:
            return None
        try:
            require_for(user, CLEAR, job_id)
        except (NotAllowed, DevicesUnknown) as exc:
            return str(exc)
        except JobNotFound:
            return f"Missing permission {CLEAR} for a lock whose holder no longer exists"
        return None


register(JobHolders())
