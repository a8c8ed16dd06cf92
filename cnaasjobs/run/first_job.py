"""The dry run of the first start, done as a client would: announced, scheduled and followed over HTTP."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from cnaasjobs.plain_text import clean
from cnaasjobs.run import outcomes, screen
from cnaasjobs.run.api import Api
from cnaasjobs.run.outcomes import FoundDevice, Outcome
from cnaasjobs.terminal import console_on

POLL_SECONDS = 0.3
LINE_SECONDS = 10.0  # without a terminal: how often a line shows the progress
ANNOUNCED_SECONDS = 10.0  # the time to object, before it logs in to devices of your own
NAMED = 3  # devices in the announcement
PAGE = 100
ENDED = {"FINISHED", "EXCEPTION"}

Say = Callable[[str], None]


class FirstJob:
    """``own_inventory``: the value of NORNIR_CONFIG; None for the lab."""

    def __init__(self, api: Api, *, own_inventory: str | None, say: Say, stopping: threading.Event) -> None:
        self._api = api
        self._own = own_inventory
        self._say = say
        self._stopping = stopping

    def run(self) -> None:
        """Announces it, waits for its end, and shows what it found and what to try next."""
        known = self._api.call("GET", f"/api/v1.0/devices?per_page={NAMED}")
        names = [str(device["hostname"]) for device in known.body["data"]["devices"]] if known.ok else []
        if not known.ok:
            self._left_out(known.message)
        elif not names:
            self._left_out("the inventory has no devices")
        elif self._announce(names, known.total):
            self._dry_run()
        if not self._stopping.is_set():
            self.tell_what_to_try(names[0] if names else None)

    def tell_what_to_try(self, hostname: str | None = None) -> None:
        self._say("\n" + screen.to_try(self._api, hostname=hostname, is_lab=self._own is None))

    def _left_out(self, why: str) -> None:
        self._say(f"\nNo first dry run: {clean(why)}")
        self._say("Everything else runs. Once that is fixed, the next start, or the second line below, makes it.")

    def _announce(self, names: list[str], total: int) -> bool:
        """Waits so that somebody can object. False when the platform is being stopped."""
        devices = f"{total} device{'' if total == 1 else 's'}"
        if self._own is None:
            self._say(f"\nFirst start: a dry run of the {devices} of the lab, which changes nothing.")
            return True
        more = f" and {total - len(names)} more" if total > len(names) else ""
        words = (
            f"First start with your own inventory: in {ANNOUNCED_SECONDS:g} s a dry run of its {devices} begins"
            f" ({clean(', '.join(names))}{more}). It logs in to each of them, compares, and changes nothing. Ctrl-C now"
            " prevents it; CNAASJOBS_FIRST_RUN=0 always skips it."
        )
        self._say("\n" + screen.drawn(Text(words)))
        return not self._stopping.wait(ANNOUNCED_SECONDS)

    def _dry_run(self) -> None:
        posted = self._api.call("POST", "/api/v1.0/device_syncto", {"all": True, "comment": "first start"})
        if not posted.ok:
            return self._left_out(posted.message)
        job = self._followed(int(posted.body["job_id"]), posted.total)
        if job is not None:
            self._tell(job)
        return None

    def _tell(self, job: Mapping[str, Any]) -> None:
        found = list(self._found(job["id"]))
        words = Text(f"Job {job['id']}{_took(job)}: {outcomes.in_words(found)}")
        if job["exception"]:
            words.append(f"; {clean(job['exception']['type'])}: {clean(job['exception']['message'])}")
        is_bad = job["exception"] or any(each.outcome is Outcome.FAILED for each in found)
        words.stylize("bold red" if is_bad else "bold green")
        self._say("\n" + screen.drawn(words) + "\n")
        if found:
            self._say(screen.drawn(outcomes.table(found, width=screen.width())))
        more = f"And {len(found) - outcomes.SHOWN} more, in" if len(found) > outcomes.SHOWN else "In"
        self._say(f"\n{more} the console: {self._api.url}/jobs/{job['id']}")

    def _found(self, job_id: int) -> Iterator[FoundDevice]:
        page, total = 1, 1
        while (page - 1) * PAGE < total and not self._stopping.is_set():
            answer = self._api.call("GET", f"/api/v1.0/job/{job_id}/devices?report=1&per_page={PAGE}&page={page}")
            if not answer.ok:
                return
            yield from map(FoundDevice.of, answer.body["data"]["devices"])
            page, total = page + 1, answer.total

    def _followed(self, job_id: int, devices: int) -> Mapping[str, Any] | None:
        """Shows how far the job is until it has ended; None when the platform is being stopped."""
        columns = (TextColumn("job {task.fields[job_id]} {task.fields[status]:<9}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns,
            TextColumn("devices"),
            TimeElapsedColumn(),
            console=console_on(sys.stdout),
            disable=not sys.stdout.isatty(),
            transient=True,
        ) as progress:
            bar = progress.add_task("", total=devices or None, job_id=job_id, status="SCHEDULED")
            waited, told = 0.0, 0.0
            while not self._stopping.wait(POLL_SECONDS):
                waited += POLL_SECONDS
                answer = self._api.call("GET", f"/api/v1.0/job/{job_id}?filter_jobresult=config,diff")
                if not answer.ok:
                    continue
                job: dict[str, Any] = answer.body["data"]["jobs"][0]
                done = len(job["finished_devices"] or [])
                progress.update(bar, completed=done, status=job["status"])
                if job["status"] in ENDED:
                    return job
                if progress.disable and waited - told >= LINE_SECONDS:
                    told = waited
                    self._say(f"job {job_id} {job['status']} {done}/{devices} devices")
        return None


def _took(job: Mapping[str, Any]) -> str:
    if not job["start_time"]:
        return ""
    start, finish = (datetime.fromisoformat(job[name]) for name in ("start_time", "finish_time"))
    return f" took {(finish - start).total_seconds():.1f} s"
