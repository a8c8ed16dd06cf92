"""May a step begin on all devices of a job? Any participant asks, with the job's row locked; it is answered once."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from cnaasjobs.db.clock import database_now
from jobs.device_models import LOST, TOO_LONG
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Run
from jobs.sql.device_signature import Decision
from jobs.states import RUNNING, JobDeviceState

_NAMED = 3  # failed devices that a refusal names


def decide(run: Run, step: int, *, within: float | None, lost: bool = False) -> Decision:
    with transaction.atomic():
        job = Job.objects.select_for_update().filter(pk=run.job_id, status=RUNNING.value).first()
        fleet = Fleet.objects.filter(pk=run.job_id).first()
        if job is None or fleet is None or not Participant.objects.filter(pk=run.run_token).exists():
            return Decision(False, "the run was ended by somebody else")
        if fleet.allowed > step:
            return Decision(True, "")
        if fleet.refused is None:
            # Asked first, because the second of two statements sees more. The other way round, a device that is stored
            # as failed between them would count neither as left nor as failed.
            left = _left(job.pk, step)
            # Who asks for a step has heard that the one before it is allowed.
            has_lost = lost or fleet.allowed < step or (left and _is_nobodys(job.pk))
            fleet.refused = LOST if has_lost else _why_not(fleet, within)
            if fleet.refused is None:
                if fleet.end is not None or job.abort_reason is not None or left:
                    return Decision(None, "")
                fleet.allowed, fleet.allowed_at = step + 1, database_now()
            fleet.save(update_fields=["allowed", "allowed_at", "refused"])
        return Decision(fleet.refused is None, fleet.refused or "")


def _why_not(fleet: Fleet, within: float | None) -> str | None:
    devices = JobDevice.objects.filter(job_id=fleet.pk)
    if failed := list(devices.filter(failed=True).order_by("place").values_list("host", flat=True)[:_NAMED]):
        return ", ".join(failed)
    if within is None or fleet.allowed_at is None:
        return None
    if database_now() - fleet.allowed_at > timedelta(seconds=within):
        return f"{TOO_LONG}: more than {within:g} seconds"
    return None


def _left(job_id: int, step: int) -> bool:
    """Whether some device has not finished the steps before."""
    in_step = Q(state=JobDeviceState.TAKEN.value, steps_over__lt=step) | Q(state=JobDeviceState.WAITING.value)
    return JobDevice.objects.filter(in_step, job_id=job_id).exists()


def _is_nobodys(job_id: int) -> bool:
    """Whether some device is in the hands of one that has left. It was over by then, and the database lost that."""
    taken = JobDevice.objects.filter(job_id=job_id, state=JobDeviceState.TAKEN.value)
    return taken.exclude(participant__in=Participant.objects.filter(job_id=job_id).values("token")).exists()
