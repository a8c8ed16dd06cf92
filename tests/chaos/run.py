"""One chaos run, from an empty directory to a record."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import feeder, history, ledger
from tests.chaos.approver import Approver
from tests.chaos.checks import Thresholds
from tests.chaos.clients import Aborter, Accepts, Client, Poster, Prober
from tests.chaos.faults import Injector
from tests.chaos.fleet import Fleet
from tests.chaos.listeners import FrontEnd, Listener, StreamReader
from tests.chaos.plan import Plan
from tests.chaos.record import Accepted, Heard, Kind, Record
from tests.waiting import wait_until

_LEAD_SECONDS = 2.0
_LOOK_SECONDS = 0.5
_EVENTS_SECONDS = 45.0  # whoever is away now comes back, perhaps to a process that must start first
_FEED_SECONDS = 180.0  # behind the plan, at most: the feeder waits out faults too

KINDS = [
    Kind(name="short"),
    Kind(name="urgent"),
    Kind(name="delayed"),
    Kind(name="long"),
    Kind(name="locked"),
    Kind(name="campaign"),
    Kind(name="blind"),
    Kind(name="keeper", ends_with=("OperationalError", "InterfaceError", "InternalError")),  # its transaction's
    Kind(name="fan"),
    Kind(name="roll"),
    Kind(name="failing", ends_with=("ValueError",)),
    Kind(name="retried", retries=True),
    Kind(name="rerun", reruns=True),
    Kind(name="guarded", approval=True, ends_with=("JobRejected",)),
    Kind(name="sync_devices"),
]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How large a fleet, and how patient."""

    thresholds: Thresholds
    workers: int = 3
    beats: int = 2
    mutant: str = ""
    settle_seconds: float = 150.0  # for the last job to end, once all is fed and nothing is broken any more


class Run:
    def __init__(self, plan: Plan, options: Options, directory: Path, *, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.options = options
        self.directory = directory
        self._say = say
        lost = options.thresholds.worker_lost
        self.fleet = Fleet(
            directory,
            worker_lost_seconds=lost,
            workers=options.workers,
            beats=options.beats,
            mutant=options.mutant,
        )
        self.injector = Injector(self.fleet, worker_lost_seconds=lost)

    def __call__(self) -> Record:
        began = time.monotonic()
        try:
            self.fleet.start()
            self._say(f"the fleet is up after {time.monotonic() - began:.0f} s")
            return self._break_and_watch()
        finally:
            self.fleet.stop()

    def _break_and_watch(self) -> Record:
        (self.directory / "jobs.json").write_text(feeder.plan_file(self.plan.jobs))
        start = time.time() + _LEAD_SECONDS
        self.fleet.platform._start(
            "feeder", [sys.executable, "-m", "tests.chaos.feeder", str(self.directory), repr(start)], env={}
        )
        aborter = Aborter(self.fleet, start=start, seed=self.plan.seed)
        poster = Poster(self.fleet, self.plan.syncs, start=start, aborter=aborter, seed=self.plan.seed)
        prober = Prober(self.fleet, start=start)
        approver = Approver(self.fleet, start=start, seed=self.plan.seed)
        listeners: list[Listener] = [
            StreamReader(self.fleet, start=start, seed=self.plan.seed),
            FrontEnd(self.fleet, start=start, seed=self.plan.seed + 1),
        ]
        clients: list[Client] = [aborter, poster, prober, approver, *listeners]
        for client in clients:
            client.start()
        self._inject(start)
        poster.that_was_all()
        for thread in self.fleet.members.pending:
            thread.join()
        self._wait_for_the_end(poster)
        self._wait_for_the_last_events(listeners)
        for client in clients:
            client.stopping.set()
            client.join()
        until = time.time()
        self.fleet.members.end_supervision()
        record = self._collect(start, until, aborter, poster, prober)
        record.decisions = approver.decisions
        record.told = {each.name: {str(job): status for job, status in each.told.items()} for each in listeners}
        record.heard = [
            Heard(listener=each.name, job=job, status=status, at=at)
            for each in listeners
            for (job, status), at in each.heard.items()
        ]
        self._say(f"listeners connected {', '.join(f'{each.name}: {each.connections} times' for each in listeners)}")
        return record

    def _inject(self, start: float) -> None:
        for number, planned in enumerate(self.plan.faults, start=1):
            while (left := start + planned.at - time.time()) > 0:
                time.sleep(left)
            fault = self.injector.inject(planned)
            self._say(
                f"{fault.at - start:6.1f} s  {number:3}/{len(self.plan.faults)} {fault.kind}"
                f"{f': {fault.target}' if fault.target else ''}; struck {fault.hits}"
            )

    def _wait_for_the_end(self, poster: Poster) -> None:
        feed = Accepts(self.directory)
        fed = False

        def all_fed() -> bool:
            nonlocal fed
            fed = fed or any(entry["what"] == "done" for entry in feed.more())
            return fed and not poster.is_alive()

        wait_until(
            all_fed, timeout=self.plan.seconds + _FEED_SECONDS, interval=_LOOK_SECONDS, message="not all was fed"
        )
        self._say("all is fed, and nothing is broken any more: waiting for the last job to end")
        deadline = time.monotonic() + self.options.settle_seconds
        while (left := history.unfinished(self.fleet.postgresql)) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if left:
            self._say(f"{len(left)} jobs have not ended: {left[:10]}")

    def _wait_for_the_last_events(self, listeners: list[Listener]) -> None:
        """A while; the check says what they were not told."""
        rows = self.fleet.postgresql.execute("SELECT id, status FROM jobs_job WHERE finish_time IS NOT NULL")
        deadline = time.monotonic() + _EVENTS_SECONDS
        while not all(each.knows(dict(rows)) for each in listeners) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)

    def _collect(self, since: float, until: float, aborter: Aborter, poster: Poster, prober: Prober) -> Record:
        server, members = self.fleet.postgresql, self.fleet.members
        scheduled = [
            Accepted(job=entry["job"], kind=entry["kind"], by="schedule", at=entry["at"])
            for entry in Accepts(self.directory).more()
            if entry["what"] == "accepted"
        ]
        return Record(
            since=since,
            until=until,
            kinds=KINDS,
            accepted=sorted([*scheduled, *poster.accepted], key=lambda each: each.job),
            posts=poster.posts,
            aborts=aborter.aborts,
            lines=ledger.read(self.fleet.ledger),
            changes=history.changes(server),
            tenures=history.tenures(server),
            rows=history.rows(server),
            memberships=history.memberships(server),
            devices=history.devices(server),
            faults=self.injector.injected,
            processes=members.recorded_processes(),
            children=members.seen.children,
            beats=history.beats(server),
            deaths=members.recorded_deaths(),
            pauses=members.seen.pauses,
            outages=self.fleet.outages,
            cuts=[cut for host in self.fleet.hosts for cut in host.cuts],
            remnants=self.fleet.remnants,
            probes=prober.probes,
        )
