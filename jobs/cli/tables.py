"""Tables of jobs, of one job, and of locks."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cnaasjobs.db.clock import database_now
from cnaasjobs.plain_text import clean, clean_lines
from jobs.cli.fitting import FittingTable
from jobs.cli.terminal import status_text
from jobs.models import Job, JobDevice
from jobs.outcome import OF_DEVICES
from jobs.search.common_reasons import common_reasons
from jobs.states import JobDeviceState, Status
from jobs.waiting import lines
from jobs.waiting.progress import Progress, progress_of
from jobs.waiting.reasons import in_words
from jobs.waiting.why import reasons_of

DEVICES_SHOWN: Final = 200
LONGEST: Final = 1000  # characters of the arguments, and of the result


JOB_COLUMNS: Final = (
    "id",
    "status",
    "function",
    "devices",
    "by",
    "comment",
    "when (UTC)",
    "took",
    "score",
    "waits for",
)


def jobs_table(jobs: Sequence[Job], *, narrow: bool = False) -> Table:
    """A row for each job; what holds it, if it waits.

    Args:
        narrow: columns in which no row has anything are left out.
    """
    rows = list(_job_rows(jobs))
    shown = [at for at in range(len(JOB_COLUMNS)) if not narrow or not rows or any(str(row[at]) for row in rows)]
    table = FittingTable(*(JOB_COLUMNS[at] for at in shown), nothing="No job matches.")
    for row in rows:
        table.add_row(*(row[at] for at in shown))
    return table


def _job_rows(jobs: Sequence[Job]) -> Iterator[tuple[str | Text, ...]]:
    now, progress, held = database_now(), progress_of([job.pk for job in jobs]), reasons_of(jobs)
    for job in jobs:
        note = "told to stop" if job.abort_reason is not None and job.status == Status.RUNNING else ""
        yield (
            str(job.pk),
            status_text(job.status, job.exception_type, note=note),
            clean(job.function_name),
            devices_text(progress.get(job.pk)),
            clean(job.scheduled_by),
            clean(" ".join(filter(None, [job.ticket_ref, job.comment])))[:60],
            moment(job.when),
            took(job, now),
            "" if job.change_score is None else str(job.change_score),
            clean(" ".join(map(str, held[job.pk]))),
        )


def devices_text(progress: Progress | None) -> Text:
    """3/10, and how many failed."""
    if progress is None:
        return Text("")
    text = Text(str(progress.done) if progress.total is None else f"{progress.done}/{progress.total}")
    return text.append(f" {progress.failed} failed", style="bold red") if progress.failed else text


def took(job: Job, now: datetime) -> str:
    """How long it ran or has been running; or how soon it is due."""
    if job.start_time is not None:
        return in_words((job.finish_time or now) - job.start_time)
    return f"in {in_words(job.scheduled_time - now)}" if job.scheduled_time > now and not job.finish_time else ""


def moment(when: datetime | None) -> str:
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def job_view(job: Job, exception: dict[str, Any] | None, result: str | None, *, devices: str) -> RenderableType:
    """One job: the reason first, then what is known about it, then its devices, failed ones first.

    Args:
        result: the beginning of its JSON text; it is not shown if it is made of the devices' reports.
    """
    facts = Table.grid(Column(), Column(overflow="fold"), padding=(0, 2))
    for name, value in _facts(job, result):
        facts.add_row(Text(name, style="dim"), value)
    parts: list[RenderableType] = []
    for reason in reasons_of([job])[job.pk]:
        parts.append(Text(clean(reason), style="yellow"))
    if exception is not None:
        parts.append(Text(f"{clean(exception['type'])}: {clean_lines(exception['message'])}", style="bold red"))
    parts.append(facts)
    if devices != "none":
        parts += _devices(job, only_failed=devices == "failed")
    return Group(*parts)


def _facts(job: Job, result: str | None) -> Iterator[tuple[str, Text | str]]:
    now = database_now()
    yield "job", f"{job.pk}  {clean(job.function_name)}"
    yield "status", status_text(job.status, job.exception_type)
    for name, when in (("scheduled", job.scheduled_time), ("started", job.start_time), ("finished", job.finish_time)):
        if when is not None:
            yield name, f"{moment(when)} UTC"
    if length := took(job, now):
        yield "took" if job.finish_time else "running for" if job.start_time else "due", length
    if progress := progress_of([job.pk]).get(job.pk):
        yield "devices", devices_text(progress)
        if result and result.startswith(OF_DEVICES):
            result = None
    others = {
        "by": job.scheduled_by,
        "comment": job.comment,
        "ticket": job.ticket_ref,
        "score": job.change_score,
        "told to stop": job.abort_reason,
        "next job": job.next_job_id,
        "lock": job.lock_name,
        "queue": job.queue,
        "worker": job.worker,
        "arguments": job.start_arguments[:LONGEST],
        "result": result and result[:LONGEST],
    }
    for name, value in others.items():
        if value not in (None, ""):
            yield name, clean(value)


def _devices(job: Job, *, only_failed: bool) -> list[RenderableType]:
    rows = JobDevice.objects.filter(job=job)
    if only_failed:
        rows = rows.filter(failed=True)
    shown = list(rows.order_by("-failed", "place").defer("report", "memo")[:DEVICES_SHOWN])
    if not shown:
        return []
    table = FittingTable("device", "state", "score", "step", "worker", "reason")
    for device in shown:
        state = Text("failed", style="bold red") if device.failed else Text(device.state.lower())
        if device.state == JobDeviceState.DONE and not device.failed:
            state = Text("done", style="green")
        score = "" if device.change_score is None else str(device.change_score)
        table.add_row(clean(device.host), state, score, clean(device.step), clean(device.worker), clean(device.reason))
    parts: list[RenderableType] = [table]
    if len(shown) == DEVICES_SHOWN and (total := rows.count()) > DEVICES_SHOWN:
        parts.append(Text(f"the first {DEVICES_SHOWN} of {total} {'failed ' * only_failed}devices", style="dim"))
    return [*parts, *_common_reasons(job)]


def _common_reasons(job: Job) -> Iterator[Text]:
    """Below a long table, where a terminal ends."""
    for reason, devices in common_reasons(job.pk):
        yield Text(f"{devices} devices: {clean(reason)}", style="red")


def locks_table(found: Iterable[lines.Line]) -> Table:
    heads = ("lock", "job", "function", "by", "since (UTC)", "devices", "in line")
    table = FittingTable(*heads, nothing="No lock is held, and nobody waits for one.")
    rows = list(found)
    progress = progress_of([each.holder.job_id for each in rows if each.holder])
    for each in rows:
        holder = each.holder
        table.add_row(
            clean(each.name),
            str(holder.job_id) if holder else "nobody",
            clean((holder.function_name or "gone") if holder else ""),
            clean(holder.scheduled_by if holder else ""),
            moment(holder.since if holder else None),
            devices_text(progress.get(holder.job_id) if holder else None),
            _in_line(each),
        )
    return table


def _in_line(line: lines.Line) -> str:
    """How many wait for the lock, and who is next."""
    if not line.order:
        return ""
    count = f"{len(line.order)}{'+' if len(line.order) >= lines.COUNTED else ''}"
    first = ", ".join(f"job {one.job_id}" for one in line.first[:3])
    return f"{count} wait{'s' if count == '1' else ''}{first and f': {first}'}"
