"""Processes join a running job, and are lost: everything about them but the job's own transitions.

Every change of who takes part locks the job's row first. The job's ``run_token``, ``worker_id`` and ``worker`` always
name one of the participants; if there is none, the token is nobody's, so that a process that was taken for dead and
comes back ends nothing.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import transaction

from cnaasjobs.db.clock import DatabaseNow, database_now
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.end_reasons import EndReason, Failure
from jobs.errors import JobAborted, LockLost
from jobs.models import Fleet, Job, JobDevice, Participant
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.sql.devices import CROWDED_SECONDS
from jobs.states import JobDeviceState, Status
from locks import service as locks


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A process takes part in a run that has been going on for ``age`` seconds."""

    run: Run
    age: float


@dataclass(frozen=True, kw_only=True)
class AfterLoss:
    """What becomes of a run that lost a participant: it goes on, or it ends with this failure."""

    goes_on: bool
    run_token: UUID
    failure: Failure


def join(
    job_id: int, *, task_name: str, run_token: UUID, worker_id: int | None, worker: str, longest: float | None
) -> Joined | Refused:
    """Take part in a running job, as long as it has devices to begin. A repeated call with the same token is granted.

    ``longest``: the job's time limit in seconds; nobody joins after it.
    """
    with transaction.atomic():
        job = _locked(job_id)
        fleet = Fleet.objects.filter(pk=job_id).first()
        if job is None or fleet is None or job.task_name != task_name or job.start_time is None:
            return Refused(job_id=job_id, reason="it is not running, or needs no help")
        age = (database_now() - job.start_time).total_seconds()
        if not Participant.objects.filter(pk=run_token).exists():
            others = Participant.objects.filter(job_id=job_id).count()
            if why := _why_not(job, fleet, others, too_late=longest is not None and age >= longest):
                return Refused(job_id=job_id, reason=why)
            Participant.objects.create(
                token=run_token, job_id=job_id, worker_id=worker_id, worker=worker, joined_at=DatabaseNow()
            )
            if not others:
                _name_in_row(job_id, run_token, worker_id, worker)
                Fleet.objects.filter(pk=job_id).update(orphan=None)
    record(JobAction.JOIN, job_id=job_id, worker=worker, participant=str(run_token))
    run = Run.of(job, run_token=run_token, worker=worker)
    return Joined(run=run, age=age)


def _why_not(job: Job, fleet: Fleet, others: int, *, too_late: bool) -> str | None:
    if fleet.end is not None or job.abort_reason is not None or too_late:
        return "it is about to end"
    if fleet.attempt != job.attempt:
        return "it has not reached its devices yet"
    if others > fleet.helpers:
        return "it has enough participants"
    if others and _is_crowded(job.queue):
        return "a job waits for a slot"
    free = JobDevice.objects.filter(job_id=job.pk, state=JobDeviceState.WAITING.value, participant__isnull=True)
    if not (free.filter(tries=0) if others else free).exists():  # one that has cost a process waits for the last one
        return "all its devices have been begun"
    if job.lock_name is not None and not locks.is_held(job.lock_name, holder_id=job.pk, fence=job.fence):
        return "it lost its lock"
    return None


def _is_crowded(queue: str) -> bool:
    """Whoever joined now would have to make room again."""
    since = database_now() - timedelta(seconds=CROWDED_SECONDS)
    sent = Job.objects.filter(status=Status.SCHEDULED.value, queue=queue, dispatched_at__lt=since)
    # In its index's order, not ``exists``, which takes any: see ``jobs.waiting_rows``.
    return sent.order_by("queue", "dispatched_at").values_list("pk").first() is not None


def lose(job_id: int, token: UUID, failure: Failure) -> AfterLoss:
    """A participant is gone, or was cut off. Its row is deleted first: from then on whatever it asks is refused.

    A run without participants, such as one without ``each``, does not go on. One that was ended by an earlier release,
    which knows no participants, still has them; it keeps what is known of their devices.
    """
    with transaction.atomic():
        job = _locked(job_id)
        fleet = Fleet.objects.filter(pk=job_id).first()
        mine = Participant.objects.filter(pk=token, job_id=job_id).first()
        if job is None and mine is not None:
            mine.delete()
            store().lose_devices(job_id, token, worker=mine.worker, repeats=False)
        if job is None or fleet is None or mine is None:
            is_orphan = job is not None and fleet is not None and fleet.attempt == job.attempt
            # Its end may be noted, and whoever noted it have died before carrying it out.
            noted = fleet.end or fleet.orphan if is_orphan and fleet is not None else None
            return AfterLoss(goes_on=False, run_token=token, failure=Failure.parsed(noted) if noted else failure)
        mine.delete()
        in_hand = store().lose_devices(job_id, token, worker=mine.worker, repeats=fleet.repeats)
        reason = EndReason.of(failure.type)
        if reason is None or not reason.reruns:
            _note_end(fleet, failure)
        heir = Participant.objects.filter(job_id=job_id).order_by("joined_at").first()
        if heir is not None:
            if job.run_token == token:
                _name_in_row(job_id, heir.token, heir.worker_id, heir.worker)
            return AfterLoss(goes_on=True, run_token=heir.token, failure=failure)
        if (fleet.repeats or not in_hand) and _may_wait(job, fleet):
            _name_in_row(job_id, nobody := uuid4(), None, mine.worker)
            Fleet.objects.filter(pk=job_id).update(orphan=failure.as_json())
            return AfterLoss(goes_on=True, run_token=nobody, failure=failure)
        end = _end_of(job, fleet) or failure
        _note_end(fleet, end)  # the run ends in a transaction of its own: until then nobody may join it
        return AfterLoss(goes_on=False, run_token=job.run_token or token, failure=end)


def end_of_orphan(job: Job, *, longest: float | None) -> Failure | None:
    """Why a run in which nobody takes part must end now, without waiting for anybody."""
    if (end := _end_of(job, job.fleet)) is not None:
        return end
    if job.lock_name is not None and not locks.is_held(job.lock_name, holder_id=job.pk, fence=job.fence):
        return Failure.of(LockLost(f"lock {job.lock_name} was cleared or taken over"))
    if longest is not None and job.start_time is not None:
        age = (database_now() - job.start_time).total_seconds()
        if age >= longest:
            message = f"the job ran longer than its time limit of {longest:g} seconds"
            return Failure(type=EndReason.TIME_LIMIT_EXCEEDED, message=message)
    return None


def _note_end(fleet: Fleet, end: Failure) -> None:
    if fleet.end is None:
        fleet.end = end.as_json()
        fleet.save(update_fields=["end"])


def _end_of(job: Job, fleet: Fleet) -> Failure | None:
    if fleet.end is not None:
        return Failure.parsed(fleet.end)
    return None if job.abort_reason is None else Failure.of(JobAborted(job.abort_reason))


def _may_wait(job: Job, fleet: Fleet) -> bool:
    waiting = JobDevice.objects.filter(job_id=job.pk, state=JobDeviceState.WAITING.value)
    return fleet.helpers > 0 and _end_of(job, fleet) is None and waiting.exists()


def _locked(job_id: int) -> Job | None:
    return Job.objects.select_for_update().filter(pk=job_id, status=Status.RUNNING.value).first()


def _name_in_row(job_id: int, token: UUID, worker_id: int | None, worker: str) -> None:
    Job.objects.filter(pk=job_id).update(run_token=token, worker_id=worker_id, worker=worker)
