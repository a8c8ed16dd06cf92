"""What happens to the devices of a participant that is gone, and reports for those that were lost."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, F, Q

from cnaasjobs.db.clock import DatabaseNow
from jobs.models import JobDevice, Participant
from jobs.run import Run
from jobs.states import JobDeviceState, Status

_NO_RECORD = "the database lost the record of what was done to it: its state is not known"
_TRIES = 2  # a device that has cost this many processes is not begun again


def lose_devices(job_id: int, token: UUID, *, worker: str, repeats: bool) -> int:
    """See ``DeviceStore``. With ``repeats`` its devices wait again, else they failed; the reason names the step."""
    in_hand = JobDevice.objects.filter(job_id=job_id, participant=token).exclude(state=JobDeviceState.DONE.value)
    had = list(in_hand.only("pk", "state", "step", "if_lost", "tries"))
    # A device that was taken ahead may or may not have been begun, and a process that was only frozen may still be
    # working on it: it is not given to other participants, unless it may be repeated.
    is_alone = not Participant.objects.filter(job_id=job_id).exclude(pk=token).exists()
    again = [
        device.pk
        for device in had
        if device.tries + 1 < _TRIES and (repeats or (is_alone and device.state == JobDeviceState.WAITING))
    ]
    in_hand.filter(pk__in=again).update(
        state=JobDeviceState.WAITING.value,
        tries=F("tries") + 1,
        participant=None,
        worker=None,
        start_time=None,
        step="",
        if_lost=None,
        steps_over=0,
    )
    reasons: dict[str, list[int]] = {}
    for device in had:
        if device.pk not in again:
            reasons.setdefault(_reason(device, worker, repeats=repeats), []).append(device.pk)
    for reason, ids in reasons.items():
        in_hand.filter(pk__in=ids).update(
            state=JobDeviceState.DONE.value, failed=True, reason=reason, tries=F("tries") + 1, finish_time=DatabaseNow()
        )
    return len(had)


def lose_unrecorded(run: Run, state: JobDeviceState) -> int:
    """See ``DeviceStore``."""
    is_mine = Q(job__run_token=run.run_token) | Exists(Participant.objects.filter(pk=run.run_token))
    devices = JobDevice.objects.filter(is_mine, job_id=run.job_id, job__status=Status.RUNNING.value, state=state.value)
    return devices.update(state=JobDeviceState.DONE.value, failed=True, reason=_NO_RECORD, finish_time=DatabaseNow())


def unreported_devices(job_id: int) -> list[tuple[int, str, str]]:
    lost = JobDevice.objects.filter(job_id=job_id, failed=True, report__isnull=True).order_by("place")
    return [(pk, host, reason or "") for pk, host, reason in lost.values_list("pk", "host", "reason")]


def write_reports(reports: Iterable[tuple[int, str]]) -> None:
    for pk, report in reports:
        JobDevice.objects.filter(pk=pk, report__isnull=True).update(report=report)


def _reason(device: JobDevice, worker: str, *, repeats: bool) -> str:
    if repeats:
        return f"its process died with it, at worker {worker} and once before"
    if device.state == JobDeviceState.WAITING:
        return f"worker {worker} was lost before it is known to have begun with the device: nothing was changed on it"
    where = f"in {device.step}" if device.step else "while it worked on the device"
    return f"worker {worker} was lost {where}: {device.if_lost or 'its state is not known'}"
