"""What is coming up: recurring schedules with their next run, and jobs that were scheduled for later."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cnaasjobs.db.clock import DatabaseNow
from jobs.beat.reading import Unreadable, readable
from jobs.beat.recurrence import ScheduleBroken, due_time
from jobs.errors import JobArgumentError
from jobs.models import Job, ScheduleOwner
from jobs.operating.recurring import function_name_of, task_of
from jobs.states import Status
from jobs.waiting.reasons import in_words
from jobs.waiting_rows import UNSENT

SHOWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Recurring:
    row: PeriodicTask | Unreadable
    rule: str
    owner: str | None
    due: datetime | None  # None: it will not run, and ``why`` says why
    why: str

    @property
    def can_run(self) -> bool:
        """Whether it can be read, and starts a job."""
        try:
            task_of(self.row.task)
        except JobArgumentError:
            return False
        return isinstance(self.row, PeriodicTask)

    @property
    def function_name(self) -> str:
        return function_name_of(str(self.row.task))


def recurring() -> list[Recurring]:
    """The next one to run comes first, those that will not run come last."""
    found = _found(_joined().exclude(task="celery.backend_cleanup").order_by("name")[: SHOWN + 1])
    return sorted(found, key=lambda each: (each.due is None, each.due.timestamp() if each.due else 0, each.row.name))


def one_recurring(schedule_id: int) -> Recurring | None:
    return next(iter(_found(_joined().filter(pk=schedule_id))), None)


def ahead() -> QuerySet[Job]:
    """Jobs that are due later, the next one first."""
    waiting = Job.objects.filter(UNSENT, status=Status.SCHEDULED.value)
    later = waiting.filter(scheduled_time__gt=DatabaseNow()).order_by("scheduled_time", "id")
    return later.defer("finished_devices", "start_arguments")


def _joined() -> QuerySet[PeriodicTask]:
    joined: QuerySet[PeriodicTask] = PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked")
    return joined


def _found(rows: QuerySet[PeriodicTask]) -> list[Recurring]:
    read = readable(rows)
    owners = dict(ScheduleOwner.objects.filter(pk__in=[row.pk for row in read.rows]).values_list("pk", "name"))
    found = [_recurring(row, owners.get(row.pk)) for row in read.rows]
    return found + [Recurring(row=row, rule="", owner=None, due=None, why=f"never: {row.why}") for row in read.others]


def _recurring(row: PeriodicTask, owner: str | None) -> Recurring:
    due, why = _next(row)
    rule = str(row.crontab.human_readable if row.crontab else _every(row.interval) or row.scheduler or "")
    return Recurring(row=row, rule=rule, owner=owner, due=due, why=why)


def _every(interval: IntervalSchedule | None) -> str:
    """An interval that was entered in seconds, in hours and minutes."""
    words = in_words(interval.schedule.run_every) if interval else ""
    for nothing in (" 0 h", " 00 min", " 00 s"):
        words = words.removesuffix(nothing)
    return f"every {words.replace('.0 s', ' s')}" if words else ""


def _next(row: PeriodicTask) -> tuple[datetime | None, str]:
    if not row.enabled:
        return None, "switched off"
    try:
        due = due_time(row)
    except ScheduleBroken as exc:
        return None, f"never: {exc}"
    return due, "" if due else "no more"
