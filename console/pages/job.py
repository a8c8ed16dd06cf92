"""The page of one job: first why it waits or ended, then its devices, milestones, log, chain and arguments."""

import json
from functools import lru_cache
from typing import Any, Final, NamedTuple

from django.db.models.functions import Length, Substr
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from cnaasjobs.api.envelope import json_bytes
from cnaasjobs.indented import indented_text
from console.access import may, page
from console.chain import chain_of
from console.devices import DeviceQuery, Devices, Line, devices_of
from console.frame import said, show
from console.jinja import listed
from console.milestones import milestones_of
from console.reads.ended import Ended
from console.reads.shared import shared
from console.reasons import Common, common_reasons
from console.rows import rows_of
from console.wanted_log import lines_for
from jobs import feed, follow_ups
from jobs.api.job_json import all_rows, jobs_json
from jobs.feed import Position
from jobs.models import Job, JobOutcome
from jobs.outcome import OF_DEVICES, OF_NONE
from jobs.rights.decide import APPROVE
from jobs.states import TERMINAL, Status

_LONGEST: Final = 20_000  # characters of the arguments, of a result and of a traceback on the page


class _Listed(NamedTuple):
    devices: Devices | None
    lines: SafeString
    reasons: list[Common]  # for which several failed


KEPT: Final = Ended[_Listed](30)  # pages of devices, of about 60 KB


@page("jobs.view_job")
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """``?device=``, ``?only=`` and ``?page=`` are its devices', ``?level=`` and ``?text=`` its log's."""
    position = feed.position()
    found = Job.objects.filter(pk=job_id).defer("finished_devices").first()
    if found is None:
        return no_such_job(request, job_id)
    devices, lines, reasons = _kept_devices(position, found, DeviceQuery.of(request.GET))
    outcome = _outcome(found, has_devices=devices is not None)
    head = _head(request, found, devices, had_none="had_none" in outcome)
    context = {
        **head,
        "devices": devices,
        "lines": lines,
        "reasons": reasons,
        "milestones": milestones_of(found),
        "log": lines_for(found.pk, request.GET),
        "chain": chain_of(found),
        "arguments": _pretty(found.start_arguments),
        **outcome,
    }
    return show(request, "console/job.html", context, after=position, about=job_id, sign=head["row"].look)


def _kept_devices(position: Position, job: Job, wanted: DeviceQuery) -> _Listed:
    """The same for everybody, so it is made once: when the job changes, all who look at it ask at the same time."""
    shown = KEPT.get(position.feed, job, wanted)
    if shown is None:
        shown = shared(_devices, position, job, wanted)
        KEPT.keep(shown, position.feed, job, wanted)
    return shown


def _devices(job: Job, wanted: DeviceQuery) -> _Listed:
    """The devices that are wanted, their rows as HTML, and the reasons that several of them failed for."""
    devices = devices_of(job, wanted)
    if devices is None:
        return _Listed(None, SafeString(""), [])
    asked = wanted in (DeviceQuery(), DeviceQuery(only="failed")) and devices.numbers["failed"]
    lines = SafeString("".join(map(_line, devices.lines)))  # nosec B703 # each line escapes its values
    return _Listed(devices, lines, common_reasons(job.pk) if asked else [])


@lru_cache(maxsize=5_000)  # of about 600 bytes
def _line(line: Line) -> SafeString:
    """A device that is done does not change any more, while the others of its job go on."""
    return listed("console/line.html", line=line)


@page("jobs.view_job")
def raw(request: HttpRequest, job_id: int) -> HttpResponse:
    """The job as the API returns it, for people: a browser has no token for the API."""
    found = jobs_json(list(all_rows().filter(pk=job_id)))
    if not found:
        return no_such_job(request, job_id)
    return HttpResponse(json_bytes(found[0]), content_type="application/json")


def no_such_job(request: HttpRequest, job_id: int) -> HttpResponse:
    words = f"There is no job {job_id}. It may have been pruned, or it never existed."
    return said(request, "No such job", words, status=404)


def _head(request: HttpRequest, job: Job, devices: Devices | None, *, had_none: bool) -> dict[str, Any]:
    progress = devices.progress if devices else None
    (row,) = rows_of([job], progress={job.pk: progress} if progress else None)
    ended, known = job.status in TERMINAL, follow_ups.of(job.task_name)
    may_run = ended and may(request, "jobs.add_job")
    may_follow = may_run and not had_none
    left = row.progress is None or bool(row.progress.failed) or row.progress.done != row.progress.total
    return {
        "job": job,
        "row": row,
        "now": row.now,
        "ended": ended,
        "can_abort": may(request, "jobs.abort_job") and not ended and job.abort_reason is None,
        "can_approve": job.unapproved and may(request, APPROVE),
        "can_run": may_run,
        "can_run_failed": may_follow and known.knows_failed() and (left or job.status != Status.FINISHED),
        "can_apply": may_follow and known.may_apply(job),
    }


def _outcome(job: Job, *, has_devices: bool) -> dict[str, Any]:
    """The traceback, and the result if it is not made of the devices' reports, or whether it is made of none."""
    if job.status not in TERMINAL:
        return {}
    outcome = JobOutcome.objects.filter(pk=job.pk)
    found = outcome.values_list("exception", Substr("result", 1, len(OF_NONE))).first()
    if found is None:
        return {}
    exception, begin = found
    traceback = json.loads(exception)["traceback"] if exception else ""
    shown = {"traceback": str(traceback or "")[-_LONGEST:]}
    if begin == OF_NONE and job.status == Status.FINISHED and not has_devices:
        return {**shown, "had_none": True}
    if not begin or (has_devices and begin.startswith(OF_DEVICES)):
        return shown
    # Asked only now: many devices leave a long text, which PostgreSQL unpacks to count its characters.
    rest = outcome.values_list(Substr("result", 1, 4 * _LONGEST), Length("result")).first()
    if rest is None:  # deleted meanwhile
        return shown
    start, size = rest
    return {**shown, "result": _pretty(start), "left_out": max(0, size - 4 * _LONGEST)}


def _pretty(stored: str) -> str:
    """JSON text, indented unless it is too long or too deep for that."""
    if len(stored) < 4 * _LONGEST:
        stored = indented_text(stored)
    return stored if len(stored) <= _LONGEST else f"{stored[:_LONGEST]}\n… the raw JSON has all of it"
