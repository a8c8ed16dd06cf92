"""Calls the steps of upkeep in turn. A step that fails is logged and does not stop the others.

Nearly always there is nothing to do. So a round first asks, in one statement, which steps have any work.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from django.db import Error
from django.db.models import QuerySet
from django_celery_results.models import TaskResult

from cnaasjobs.conf import conf
from cnaasjobs.db.built import HaveRows
from cnaasjobs.db.exclusive import exclusively
from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.audit.seal import Seal
from jobs.background.faults import Complaint, bound_statements, forget_connection
from jobs.metrics import counted_here, fold
from jobs.sql import totals
from jobs.upkeep import credentials, lines
from jobs.upkeep.approvals import end_unapproved, unapproved
from jobs.upkeep.invite import Invite, may_have_help
from jobs.upkeep.orphans import end_orphans, orphans
from jobs.upkeep.prune import Prune
from jobs.upkeep.republish import Republish
from jobs.upkeep.rescue import Rescue
from jobs.upkeep.unserved import Warn
from jobs.upkeep_steps import UpkeepStep

_SHARE = 20  # a rare step may use at most this fraction of the time


@dataclass
class Step:
    name: UpkeepStep
    run: Callable[[], int]
    rows: Callable[[], QuerySet[Any]] | None = None  # if there are none, there is nothing to do
    rounds: float = 1  # as a multiple of CNAASJOBS_UPKEEP_SECONDS
    rare: bool = False  # the longer it takes, the less often it runs
    next_at: float = 0.0  # monotonic
    complaint: Complaint = field(init=False)

    def __post_init__(self) -> None:
        self.complaint = Complaint(f"upkeep's step {self.name}")

    def call(self) -> None:
        """Run the step once. Its own budget and the statement timeout bound how long that takes."""
        started = time.monotonic()
        try:
            bound_statements()
            done = self.run()
        except Exception as exc:  # noqa: BLE001  whatever one step raises, the others must run
            self.complaint.failed(exc)
            if isinstance(exc, Error):
                forget_connection()
        else:
            self._succeeded(done)
        took = time.monotonic() - started
        pause = max(conf.upkeep_seconds * self.rounds, _SHARE * took if self.rare else 0.0)
        self.next_at = started + pause

    def skip(self) -> None:
        """There is nothing to do."""
        self._succeeded(0)
        self.next_at = time.monotonic() + conf.upkeep_seconds * self.rounds

    def _succeeded(self, done: int) -> None:
        self.complaint.over()
        counted_here.step_done(self.name, done)
        if done:
            record(JobAction.UPKEEP, step=self.name, count=done)


class Upkeep:
    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.asked = {each.name: each.rows for each in steps if each.rows is not None}  # says if there is work
        self._have_rows = HaveRows(self.asked)

    def step(self) -> float:
        """Run what is due. Returns the seconds until the next."""
        due = [each for each in self.steps if time.monotonic() >= each.next_at]
        to_do: Collection[UpkeepStep] | None = None  # None until the first step that has ``rows`` is reached
        for each in due:
            if each.rows is not None and to_do is None:
                to_do = self.to_do([each.name for each in due if each.name in self.asked])
            if each.rows is None or to_do is None or each.name in to_do:
                each.call()
            else:
                each.skip()
        return max(0.0, min(each.next_at for each in self.steps) - time.monotonic())

    def to_do(self, asked: Collection[UpkeepStep]) -> Collection[UpkeepStep]:
        """Those of these steps that have something to do, or all if that can't be said."""
        try:
            bound_statements()
            return self._have_rows.among(asked)
        except Exception as exc:  # noqa: BLE001  each step then meets by itself what is wrong, and says it
            if isinstance(exc, Error):
                forget_connection()
            return asked


def repairs(own_heartbeat: Callable[[], int | None]) -> Upkeep:
    """What must not wait for anything. ``own_heartbeat`` names this process's heartbeat row, None until it has one."""
    return Upkeep(
        [
            Step(UpkeepStep.RESCUE, Rescue(own_heartbeat).step),
            Step(UpkeepStep.ORPHANS, end_orphans, orphans),
            Step(UpkeepStep.FREE_LOCKS, lines.free_abandoned, lines.abandoned),
            Step(UpkeepStep.WAKE, lines.wake_first, lines.free_with_a_line),
            Step(UpkeepStep.LOCK_WAIT, lines.end_overdue, lines.with_overdue),
            Step(UpkeepStep.APPROVALS, end_unapproved, unapproved),
        ]
    )


def chores() -> Upkeep:
    """What may be slow: it asks the broker, or writes much."""
    return Upkeep(
        [
            Step(UpkeepStep.INVITE, Invite().step, may_have_help, rounds=0.25),
            Step(UpkeepStep.REPUBLISH, Republish().step),
            Step(UpkeepStep.PRUNE, Prune().step),
            Step(UpkeepStep.TOTALS, _advance_totals, totals.uncounted),
            Step(UpkeepStep.METRICS, fold.fold, rounds=5),
            Step(UpkeepStep.RESULTS, _forget_results, rounds=1800),
            Step(UpkeepStep.CREDENTIALS, credentials.forget, rounds=300),
            Step(UpkeepStep.AUDIT_SEAL, Seal().step, rounds=5),
            Step(UpkeepStep.UNSERVED, Warn().step, rounds=5, rare=True),
        ]
    )


def _forget_results() -> int:
    """Delete results of tasks that are not jobs, once they are past Celery's ``result_expires`` (a day)."""
    expires = current_app.conf.result_expires
    if not expires:
        return 0
    with exclusively("results") as mine:
        if mine:
            TaskResult.objects.delete_expired(expires)
    return 0


def _advance_totals() -> int:
    with exclusively("totals") as mine:
        if mine:
            totals.advance()
    return 0  # nothing to log
