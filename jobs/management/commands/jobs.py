"""``manage.py jobs``: list, show, watch, wait, start, abort, approve, reject, log, rerun."""

import json
import threading
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.db.models.functions import Substr
from rich.live import Live
from rich.text import Text

from cnaasjobs.plain_text import clean
from cnaasjobs.terminal import console_on
from jobs.api.job_json import all_rows, jobs_json
from jobs.api.log_view import as_text, batches_of
from jobs.api.waiting_json import reason_object
from jobs.cli import arguments, deeds, follow, tables
from jobs.cli.follow import Verdict
from jobs.cli.terminal import stream_of, write_json
from jobs.errors import JobError, JobNotFound
from jobs.models import Job, JobOutcome
from jobs.schedulable import ScheduleOptions
from jobs.search.find import Found, search
from jobs.search.grammar import SearchError
from jobs.search.qualifiers import id_of
from jobs.states import TERMINAL
from jobs.waiting.why import reasons_of

NOT_FOUND: Final = 2
_REFRESH_SECONDS: Final = 2.0


class Command(BaseCommand):
    help = "Shows jobs and what they wait for; waits for, starts, aborts, approves and reruns jobs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_to(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stream = stream_of(self)
        self.console = console_on(self.stream)
        try:
            getattr(self, f"_{options['verb']}")(options)
        except (JobNotFound, SearchError) as exc:
            raise CommandError(str(exc), returncode=NOT_FOUND) from exc
        except JobError as exc:
            raise CommandError(str(exc)) from exc

    def _say(self, text: str) -> None:
        """Say something beside the output: above the bars on a terminal, otherwise on standard error."""
        if self.console.is_terminal:
            self.console.print(text)
        else:
            self.stderr.write(text)

    # --- looking ------------------------------------------------------------------------------------------------------

    def _list(self, options: dict[str, Any]) -> None:
        found = self._found(options)
        if options["json"]:
            jobs = _as_api([job.pk for job in found.jobs])
            write_json(self.stream, {"jobs": jobs, "before": found.before, "gave_up": found.gave_up})
            return
        self.console.print(tables.jobs_table(found.jobs, narrow=self.console.is_terminal))
        for said in _beside(found):
            self.console.print(Text(said, style="dim"))

    def _found(self, options: dict[str, Any]) -> Found:
        return search(" ".join(options["search"]), size=options["number"], before=options["before"])

    def _show(self, options: dict[str, Any]) -> None:
        job = Job.objects.filter(pk=options["id"]).first()
        if job is None:
            raise JobNotFound(options["id"])
        if options["json"]:
            if not (found := _as_api([job.pk])):
                raise JobNotFound(job.pk)
            (shown,) = found
            write_json(self.stream, {**shown, "waiting": [reason_object(each) for each in reasons_of([job])[job.pk]]})
            return
        stored = JobOutcome.objects.filter(pk=job.pk).values_list("exception", Substr("result", 1, tables.LONGEST))
        exception, result = stored.first() or (None, None)
        view = tables.job_view(job, json.loads(exception) if exception else None, result, devices=options["devices"])
        self.console.print(view)

    def _watch(self, options: dict[str, Any]) -> None:
        """Jobs by their ids until they have ended; what a search finds until Ctrl-C."""
        said: dict[int, bytes] = {}
        if options["search"] and all(map(id_of, options["search"])):
            ids = [int(each) for each in options["search"]]
            self._wait_for(ids, seen=partial(self._tell_changes, said) if options["json"] else None)
            return
        pause, patience = threading.Event(), follow.Patience(self._say)
        is_live = self.console.is_terminal and not options["json"]
        with Live(console=self.console, auto_refresh=False, screen=False) if is_live else nullcontext() as live:
            while True:
                with patience.outlasting():
                    found = self._found(options)
                    if live is None:
                        self._tell_changes(said, found.jobs)
                    else:
                        live.update(tables.jobs_table(found.jobs, narrow=True), refresh=True)
                pause.wait(_REFRESH_SECONDS)

    def _tell_changes(self, said: dict[int, bytes], jobs: Sequence[Job]) -> None:
        """A line of JSON for each job that has changed."""
        for job in _as_api([job.pk for job in jobs]):
            text = json.dumps({name: str(job[name]) for name in ("status", "finished_devices", "start_time")}).encode()
            if said.get(job["id"]) != text:
                said[job["id"]] = text
                write_json(self.stream, job)
        self.stream.flush()

    def _wait(self, options: dict[str, Any]) -> None:
        ids = options["id"]
        if options["json"]:
            verdict = follow.wait(ids, timeout=options["timeout"], seen=lambda _: None, say=self._say)
            jobs: list[dict[str, Any]] = []
            with follow.Patience(self._say).outlasting():
                jobs = _as_api(ids)
            write_json(self.stream, {"jobs": jobs, "verdict": verdict.name.lower()})
        else:
            verdict = self._wait_for(ids, timeout=options["timeout"])
        if verdict:
            raise SystemExit(int(verdict))

    def _wait_for(
        self, ids: Sequence[int], *, timeout: float | None = None, seen: follow.Seen | None = None
    ) -> Verdict:
        """Raises JobNotFound. ``seen`` shows how far they are in place of bars and lines."""
        with follow.shown(self.console) if seen is None else nullcontext(seen) as seen:
            verdict = follow.wait(ids, timeout=timeout, seen=seen, say=self._say)
        if verdict is Verdict.NOT_FOUND:
            known = set(Job.objects.filter(pk__in=ids).values_list("id", flat=True))
            raise JobNotFound(next(each for each in ids if each not in known))
        return verdict

    def _log(self, options: dict[str, Any]) -> None:
        told: set[int] = set()
        if not options["follow"]:
            self._tell_log(options, told)
            return
        pause, patience, has_ended = threading.Event(), follow.Patience(self._say), False
        while not has_ended:
            with patience.outlasting():
                has_ended = self._tell_log(options, told)
            pause.wait(0 if has_ended else _REFRESH_SECONDS)

    def _tell_log(self, options: dict[str, Any], told: set[int]) -> bool:
        """Write the batches that were not written yet. True if the job had ended, so that these were the last."""
        status = Job.objects.filter(pk=options["id"]).values_list("status", flat=True).first()
        if status is None:
            raise JobNotFound(options["id"])
        for batch, lines in batches_of(options["id"], but=told):
            for line in lines:
                if options["json"]:
                    write_json(self.stream, line._asdict())
                else:
                    self.stream.write(as_text([line]))
            told.add(batch)
        self.stream.flush()
        return status in TERMINAL

    # --- doing --------------------------------------------------------------------------------------------------------

    def _start(self, options: dict[str, Any]) -> None:
        about: ScheduleOptions = {"at": options["at"], "comment": options["comment"], "ticket_ref": options["ticket"]}
        self._tell_new(deeds.start(options["function"], dict(options["arguments"]), **about), options)

    def _abort(self, options: dict[str, Any]) -> None:
        refused = []
        for job_id in options["id"]:
            try:
                job = deeds.abort(job_id, reason=options["reason"].strip() or "Aborted at the command line")
            except JobError as exc:
                refused.append(exc)
                continue
            told = "ended" if job.status in TERMINAL else "told to stop at its next safe point"
            self.console.print(f"job {job_id}: {told}")
        if refused:
            code = NOT_FOUND if all(isinstance(exc, JobNotFound) for exc in refused) else 1
            raise CommandError("\n".join(map(str, refused)), returncode=code)

    def _approve(self, options: dict[str, Any]) -> None:
        deeds.approve(options["id"], comment=options["comment"])
        self.console.print(f"job {options['id']}: approved")

    def _reject(self, options: dict[str, Any]) -> None:
        deeds.reject(options["id"], comment=options["comment"])
        self.console.print(f"job {options['id']}: rejected")

    def _rerun(self, options: dict[str, Any]) -> None:
        again = deeds.rerun(options["id"], comment=options["comment"], only_failed=options["only_failed"])
        origin = "on what was left undone by job" if options["only_failed"] else "as job"
        self._tell_new(again, options, f", {origin} {options['id']}")

    def _tell_new(self, job: Job, options: dict[str, Any], more: str = "") -> None:
        if options["json"]:
            write_json(self.stream, _as_api([job.pk])[0])
        else:
            self.console.print(f"job {job.pk}: {clean(job.function_name)}{more}")


def _as_api(ids: Sequence[int]) -> list[dict[str, Any]]:
    return jobs_json(list(all_rows().filter(pk__in=ids).order_by("-id")))


def _beside(found: Found) -> list[str]:
    if found.gave_up:
        return [found.gave_up]
    return [f"older ones: --before {found.before}"] if found.before is not None else []
