"""The devices of jobs for the API: what clients filter and sort by, the device object, reports spliced in as stored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from django.db.models import F, QuerySet

from cnaasjobs.api.columns import SMALL, Choice, Column, Integer, Text, Time, YesNo
from cnaasjobs.api.envelope import stored_json
from cnaasjobs.api.times import time_text
from cnaasjobs.conf import conf
from cnaasjobs.db.built import Built
from jobs.models import JobDevice
from jobs.states import JobDeviceState, Status

_OF_THE_DEVICE: Final[Mapping[str, Column]] = {
    "hostname": Text(),
    "state": Choice(JobDeviceState),
    "failed": YesNo(),
    "reason": Text(),
    "change_score": Integer(bound=SMALL),
    "worker": Text(),
    "step": Text(),
    "start_time": Time(),
    "finish_time": Time(),
}
_OF_THE_JOB: Final[Mapping[str, Column]] = {
    "job_id": Integer(),
    "function_name": Text(),
    "status": Choice(Status),
    "scheduled_by": Text(),
    "ticket_ref": Text(),
}
COLUMNS: Final = _OF_THE_DEVICE
HISTORY_COLUMNS: Final = {**_OF_THE_JOB, **_OF_THE_DEVICE}

_REPORTS: Final = 20  # how many one statement fetches
_TIMES: Final = ("start_time", "finish_time")


Rows = QuerySet[JobDevice, dict[str, Any]]


def devices_of(job_id: int) -> Rows:
    """The rows of one job, by the API's names."""
    rows: Rows = _named(JobDevice.objects.filter(job_id=job_id)).values("pk", *COLUMNS)
    return rows


def jobs_of(hostname: str) -> Rows:
    """The rows of one device, with the fields of each job."""
    of_the_job = {name: F(f"job__{name}") for name in _OF_THE_JOB if name != "job_id"}
    its_rows = _named(JobDevice.objects.filter(host=hostname)).annotate(**of_the_job)
    rows: Rows = its_rows.values("pk", *HISTORY_COLUMNS)
    return rows


_WHOLE: Final = Built(
    lambda job_id, host: devices_of(job_id).filter(host=host).order_by().values_list(*COLUMNS, "report")
)


def whole_device(job_id: int, hostname: str) -> dict[str, Any] | None:
    """The API's object of one device, with its report; None if there is no such job, or it has no such device."""
    for *shown, report in _WHOLE.rows(job_id, hostname):
        return _object(dict(zip(COLUMNS, shown, strict=True))) | {"report": stored_json(report)}
    return None


def device_objects(rows: Sequence[dict[str, Any]], *, with_reports: bool = False) -> list[dict[str, Any]]:
    """The API's objects, from rows of ``devices_of`` or ``jobs_of``."""
    reports = dict(_reports([row["pk"] for row in rows])) if with_reports else {}
    return [_object(row) | ({"report": reports.get(row["pk"])} if with_reports else {}) for row in rows]


def _named(rows: QuerySet[JobDevice]) -> QuerySet[JobDevice]:
    return rows.annotate(hostname=F("host"))


def _object(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "pk"}
    return shown | {name: time_text(row[name]) for name in _TIMES} | {"step": row["step"] or None}


def _reports(pks: Sequence[int]) -> Iterator[tuple[int, orjson.Fragment | dict[str, str] | None]]:
    """Fetched a few at a time. A message replaces a report that does not fit into the page, unless it is alone."""
    room = conf.page_max_mb * 1_000_000
    for start in range(0, len(pks), _REPORTS):
        some = JobDevice.objects.filter(pk__in=pks[start : start + _REPORTS])
        for pk, job_id, host, report in some.values_list("pk", "job_id", "host", "report"):
            size = len(report or "")
            if size > room and len(pks) > 1:
                where = f"GET /job/{job_id}/devices/{host} has it"
                yield pk, {"message": f"This report of {size / 1_000_000:.1f} MB does not fit into the page: {where}"}
            else:
                room -= size
                yield pk, stored_json(report)
