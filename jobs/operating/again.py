"""Another job after one that has ended: what it would be, and scheduling it."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max

from cnaasjobs.conf import conf
from jobs import follow_ups
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.errors import JobError, JobNotFound
from jobs.models import Job, JobLink
from jobs.operating.approving import keep_maker
from jobs.rights.decide import author_of, require_start
from jobs.sql.waiting import waiting
from jobs.states import TERMINAL, CameOf
from jobs.task import JobTask, known_tasks


class CannotRunAgain(JobError):
    """It has not ended, or nothing can be run after it; the text says why."""


class MadeMeanwhile(JobError):
    """Another one was made of it than the person who asks has seen; the text says which."""

    def __init__(self, made: Job) -> None:
        by = f" by {made.scheduled_by}" if made.scheduled_by else ""
        super().__init__(f"The same was scheduled{by} meanwhile, as job {made.pk}")


class NoRoom(JobError):
    """This user has as many waiting jobs as a user may have."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A job that could be scheduled now."""

    of: Job
    kind: CameOf
    task: JobTask
    arguments: Mapping[str, Any]
    words: str  # which devices it is for; empty if they are the earlier job's
    devices: int | None


def proposal(job_id: int, kind: CameOf) -> Proposal:
    """What would be scheduled, judging by what is known now.

    Raises:
        JobNotFound, CannotRunAgain.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    if job.status not in TERMINAL:
        raise CannotRunAgain(f"Job id {job_id} is in state {job.status}; it can be run again when it has ended")
    task = known_tasks().get(job.task_name)
    if not isinstance(task, JobTask):
        raise CannotRunAgain(f"No process here knows the task {job.task_name} of job {job_id}")
    known, arguments = follow_ups.of(job.task_name), json.loads(job.start_arguments)
    try:
        if kind is CameOf.AGAIN:
            known.require_there(arguments)
            return Proposal(of=job, kind=kind, task=task, arguments=arguments, words="", devices=None)
        after = known.as_shown(job) if kind is CameOf.PLAN else known.on_the_failed(job)
    except follow_ups.CannotFollow as exc:
        raise CannotRunAgain(str(exc)) from exc
    return Proposal(of=job, kind=kind, task=task, arguments=after.arguments, words=after.words, devices=after.devices)


def newest_of(ids: Collection[int], kind: CameOf) -> dict[int, Job]:
    """By the ids of earlier jobs: the newest job of this kind that a person made of each, if there is one."""
    links = JobLink.objects.filter(of_id__in=ids, kind=kind.value).order_by()
    newest = links.values("of_id").annotate(newest=Max("job_id")).values("newest")
    jobs = Job.objects.defer("finished_devices", "start_arguments").select_related("link").filter(pk__in=newest)
    return {job.link.of_id: job for job in jobs.order_by()}


def run(proposed: Proposal, *, by: trail.By, comment: str | None = None, seen: Collection[int] | None = None) -> Job:
    """Schedule it. Comment, ticket, queue and priority are the earlier job's, if they are not given.

    Args:
        seen: ids of the jobs that this person knows were made of the earlier one. None: whatever was made of it.

    Raises:
        MadeMeanwhile: ``seen`` lacks the newest one, so two people would do the same without knowing.
        JobArgumentError: the arguments do not fit the function (any more).
        NotAllowed, DevicesUnknown.
    """
    earlier = proposed.of
    if by.user is not None:
        require_start(by.user, proposed.task, proposed.arguments)
    with transaction.atomic():
        if seen is not None:
            _require_seen(proposed, seen)
        job = scheduling.schedule(
            proposed.task,
            proposed.arguments,
            scheduled_by=by.who,
            author_id=author_of(by.user),
            comment=earlier.comment if comment is None else comment,
            ticket_ref=earlier.ticket_ref,
            queue=earlier.queue,
            priority=earlier.priority,
        )
        link(job, kind=proposed.kind, of_id=earlier.pk)
        keep_maker(job, by)
        what = f"job {earlier.pk} again" if proposed.kind is CameOf.AGAIN else proposed.words
        detail = f"{job.function_name}: {what}"
        trail.add(Deed.SCHEDULED, who=by.who, origin=by.origin, job_id=job.pk, detail=detail)
    return job


def _require_seen(proposed: Proposal, seen: Collection[int]) -> None:
    earlier = proposed.of
    # Of two at once, the second waits here until the first has committed.
    list(Job.objects.select_for_update(no_key=True).filter(pk=earlier.pk).values_list("pk"))
    made = newest_of([earlier.pk], proposed.kind).get(earlier.pk)
    if made is not None and made.pk not in seen:
        raise MadeMeanwhile(made)


def link(job: Job, *, kind: CameOf, of_id: int) -> None:
    """Say of which job this one came. Call it in the transaction that schedules it."""
    JobLink.objects.create(job=job, of_id=of_id, kind=kind.value)


def require_room(user: str) -> None:
    """Call it before this user schedules a job over the network: a runaway script must not block everybody else.

    Raises:
        NoRoom
    """
    found = Job.objects.filter(waiting(), scheduled_by=user)[: conf.waiting_per_user].count()
    if found >= conf.waiting_per_user:
        words = f"{found} jobs of {user} are already waiting, which is the limit (CNAASJOBS_WAITING_PER_USER)"
        raise NoRoom(words)
