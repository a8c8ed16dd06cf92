"""Why does it not run yet? The one answer, for the API, the console, the admin and the command line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.models import Job, JobApproval
from jobs.states import Status
from jobs.task import JobTask, known_tasks
from jobs.waiting import lines, queues
from jobs.waiting.lines import InLine, Line
from jobs.waiting.progress import Progress, progress_of
from jobs.waiting.queues import Beat, Queue
from jobs.waiting.reasons import Holds, Named, Part, Reason


def reasons_of(jobs: Sequence[Job], *, now: datetime | None = None) -> dict[int, list[Reason]]:
    """Everything that each of these jobs waits for. One that is not SCHEDULED waits for nothing.

    For a job that is not yet due this includes what would hold it at any time: its queue, its task, no Beat.

    Args:
        now: the database's time, if the caller has it.
    """
    waiting = [job for job in jobs if job.status == Status.SCHEDULED]
    if not waiting:
        return {job.pk: [] for job in jobs}
    look = _look_at(waiting, now or database_now())
    return {job.pk: list(_reasons(job, look)) if job.status == Status.SCHEDULED else [] for job in jobs}


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What was read once for all these jobs."""

    now: datetime
    lines: Mapping[str, Line]
    progress: Mapping[int, Progress]
    queues: Mapping[str, Queue]
    approvals: Mapping[int, JobApproval]  # asked for and not decided, by job
    beat: Beat


def _look_at(jobs: Sequence[Job], now: datetime) -> _Look:
    found = lines.lines_of({job.lock_name for job in jobs if job.lock_name and job.scheduled_time <= now})
    return _Look(
        now=now,
        lines=found,
        progress=progress_of([each.holder.job_id for each in found.values() if each.holder]),
        queues=queues.queues_of({job.queue for job in jobs}),
        approvals=_approvals([job.pk for job in jobs if job.unapproved]),
        beat=queues.beat(),
    )


def _reasons(job: Job, look: _Look) -> Iterator[Reason]:
    is_due = job.scheduled_time <= look.now
    if not is_due:
        left = job.scheduled_time - look.now
        sentence = ("It is due at ", job.scheduled_time, ", in ", left, ".")
        yield Reason(holds=Holds.TIME, sentence=sentence, since=None, facts={"until": job.scheduled_time})
    if job.unapproved:
        if job.pk in look.approvals:  # else it was decided meanwhile
            yield _approval(look.approvals[job.pk])
        return
    if is_due and job.lock_name:
        yield from _lock(job, look.lines[job.lock_name], look)
    if not _is_known(job.task_name):
        yield _task(job)
    queue = look.queues[job.queue]
    if not queue.workers:
        yield _queue(job, queue)
    elif is_due and not job.parked:
        yield _slot(job, queue, look)
    if not look.beat.lives and not job.parked and job.dispatched_at is None:
        yield _beat(look.beat)


def _approvals(job_ids: Sequence[int]) -> Mapping[int, JobApproval]:
    return JobApproval.objects.filter(verdict="").in_bulk(job_ids) if job_ids else {}


def _approval(asked: JobApproval) -> Reason:
    sentence = (
        "It waits for approval by another person: ",
        asked.why,  # a part of its own: a person's words may turn the direction of the text around
        ". If nobody approves it, it ends at ",
        asked.expires_at,
        ".",
    )
    facts = {"why": asked.why, "until": asked.expires_at}
    return Reason(holds=Holds.APPROVAL, sentence=sentence, since=asked.asked_at, facts=facts)


def _lock(job: Job, line: Line, look: _Look) -> Iterator[Reason]:
    place, holder = line.place_of(job.pk), line.holder
    if place is None and len(line.order) < lines.COUNTED:
        return  # it started meanwhile
    first = place == 1
    if holder is None and first:
        if job.parked:
            woken = (f"Lock {line.name} is free; it is about to be woken.",)
            yield _lock_reason(job, line, woken, place, look)
        return
    words: tuple[Part, ...] = ()
    if holder is not None:
        named = Named(holder.job_id, holder.function_name)
        words = (f"It waits for lock {line.name}, held by ", named, " for ", look.now - holder.since, ".")
        words = (*words, " ")
    words = (*words, *(("It is next in line.",) if first else _place(line, place)))
    yield _lock_reason(job, line, words, place, look)


def _place(line: Line, place: int | None) -> tuple[Part, ...]:
    number = f"{lines.COUNTED} or more" if place is None else str(place - 1)
    start = f"{number} {'job is' if place == 2 else 'jobs are'} ahead of it in line for lock {line.name}"
    if not line.first:  # they started meanwhile
        return (f"{start}.",)
    return (f"{start}, first ", Named(line.first[0].job_id, line.first[0].function_name), ".")


def _lock_reason(job: Job, line: Line, sentence: tuple[Part, ...], place: int | None, look: _Look) -> Reason:
    ahead = line.first if place is None else line.first[: place - 1]
    facts = {
        "lock": line.name,
        "place": place,
        "holder": holder_facts(line, look.progress),
        "ahead": [in_line_facts(each) for each in ahead],
    }
    since = job.waiting_since or job.scheduled_time
    return Reason(holds=Holds.LOCK, sentence=sentence, since=since, facts=facts)


def holder_facts(line: Line, progress: Mapping[int, Progress]) -> dict[str, Any] | None:
    if line.holder is None:
        return None
    how_far = progress.get(line.holder.job_id)
    devices = {"done": how_far.done, "total": how_far.total, "failed": how_far.failed} if how_far else None
    return {**in_line_facts(line.holder), "abort": line.holder.abort, "devices": devices}


def in_line_facts(each: InLine) -> dict[str, Any]:
    return {
        "job_id": each.job_id,
        "function_name": each.function_name,
        "scheduled_by": each.scheduled_by,
        "since": each.since,
    }


def _slot(job: Job, queue: Queue, look: _Look) -> Reason:
    sent = job.dispatched_at
    counted = f"{queue.waiting}{' or more' if queue.waiting >= queues.COUNTED else ''}"
    serve = f"{_many(queue.workers, 'worker serves', 'workers serve')} it"
    busy = f"{queue.busy} of {_many(queue.slots, 'slot is', 'slots are')} busy"
    there = f"{counted} {'job waits' if queue.waiting == 1 else 'jobs wait'} there."
    sentence: tuple[Part, ...]
    if sent is None:
        sentence = (f"Beat is about to send its message to queue {queue.name}: {serve}, {busy}, {there}",)
    elif queue.busy < queue.slots:
        sent_to = f"Its message was sent to queue {queue.name} "
        sentence = (sent_to, look.now - sent, f" ago; no worker has started it yet: {serve}, {busy}, {there}")
    else:  # what most jobs wait for: the less there is to read, the more jobs a page shows
        sentence = (f"It waits for a free slot of queue {queue.name}: {busy}, {there}",)
    facts = {
        "queue": queue.name,
        "workers": queue.workers,
        "slots": queue.slots,
        "busy": queue.busy,
        "waiting": queue.waiting,
        "sent": sent,
    }
    return Reason(holds=Holds.SLOT, sentence=sentence, since=sent or job.scheduled_time, facts=facts)


def _queue(job: Job, queue: Queue) -> Reason:
    sentence: tuple[Part, ...] = (f"No live worker serves its queue {queue.name}.",)
    if queue.last is not None:
        sentence = (*sentence, f" The last was {queue.last.name}, seen at ", queue.last.last_seen, ".")
    facts = {"queue": queue.name, "last_worker": queue.last.name if queue.last else None}
    since = queue.last.last_seen if queue.last else None
    return Reason(holds=Holds.QUEUE, sentence=sentence, since=since, facts=facts)


def _task(job: Job) -> Reason:
    ends = "If no worker does, it ends as UnknownTask when they have refused it for "
    sentence = (
        f"No process here knows its task {job.task_name}. {ends}",
        timedelta(seconds=conf.unknown_task_seconds),
        ".",
    )
    return Reason(holds=Holds.TASK, sentence=sentence, since=None, facts={"task": job.task_name})


def _beat(beat: Beat) -> Reason:
    last = beat.last
    sentence: tuple[Part, ...] = ("No Beat is alive to send its message.",)
    if last is not None:
        sentence = (*sentence, f" The last was {last.name}, seen at ", last.last_seen, ".")
    facts = {"last_beat": last.name if last else None}
    return Reason(holds=Holds.BEAT, sentence=sentence, since=last.last_seen if last else None, facts=facts)


def _many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def _is_known(task_name: str) -> bool:
    """Judged by this process's own code, which is the same as the workers' in a uniform installation."""
    return isinstance(known_tasks().get(task_name), JobTask)
