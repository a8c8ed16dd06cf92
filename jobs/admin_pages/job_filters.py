"""What jobs are filtered by in the admin."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.admin_pages.toolkit import registered
from jobs.admin_pages.toolkit.filters import ParameterFilter, TimeFilter, ValueFilter
from jobs.end_reasons import EndReason
from jobs.models import Heartbeat
from jobs.sql.waiting import waiting
from jobs.states import Status

IN_LINE: Final = "in line"
UNAPPROVED: Final = "unapproved"


class StatusFilter(ParameterFilter):
    title = "status"
    OFFERS: Final = {
        "Scheduled": Status.SCHEDULED.value,
        "Scheduled, in line for a lock": IN_LINE,
        "Scheduled, waits for approval": UNAPPROVED,
        "Running": Status.RUNNING.value,
        "Finished": Status.FINISHED.value,
        "Exception": Status.EXCEPTION.value,
    }

    def expected_parameters(self) -> list[Any]:
        return ["status"]

    def offers(self) -> Iterator[tuple[str, dict[str, str]]]:
        for words, value in self.OFFERS.items():
            yield words, {"status": value}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.used_parameters.get("status"):
            case None:
                return queryset
            case value if value == IN_LINE:
                return queryset.filter(waiting(), parked=True, unapproved__isnull=True)
            case value if value == UNAPPROVED:
                return queryset.filter(waiting(), parked=True, unapproved=True)
            case Status.SCHEDULED.value:
                return queryset.filter(waiting())
            case value:
                return queryset.filter(status=value)


class FunctionFilter(ValueFilter):
    title = "function"
    field = "function_name"

    def known(self) -> Sequence[str]:
        return registered.function_names()


class ExceptionFilter(ValueFilter):
    title = "exception type"
    field = "exception_type"

    def known(self) -> Sequence[str]:
        return [reason.value for reason in EndReason]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # The status says nothing new, but there is an index of exceptions.
        found = super().queryset(request, queryset)
        return found.filter(status=Status.EXCEPTION.value) if self.value else found


class QueueFilter(ValueFilter):
    title = "queue"
    field = "queue"

    def known(self) -> Sequence[str]:
        return registered.queues()


class WorkerFilter(ValueFilter):
    title = "worker"
    field = "worker"

    def known(self) -> Sequence[str]:
        workers = Heartbeat.objects.filter(kind="worker").order_by("-id")[:50]
        return sorted(set(workers.values_list("name", flat=True)))


class ScheduledFilter(TimeFilter):
    title = "scheduled time"
    field = "scheduled_time"


class StartedFilter(TimeFilter):
    title = "start time"
    field = "start_time"


class FinishedFilter(TimeFilter):
    title = "finish time"
    field = "finish_time"
