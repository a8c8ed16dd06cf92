"""The lifecycle against a model: any calls in any order, duplicates and latecomers included, leave both the same.

The model knows only the promises: which state may follow which, that a lock has one holder, and that no job sleeps in
line for a free lock.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from cnaasjobs.db.clock import database_now
from jobs.dispatch import line, scheduling
from jobs.end_reasons import Failure
from jobs.errors import JobNotAbortable
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.sql import store
from jobs.states import TERMINAL, Status
from locks import service as locks
from locks.models import Lock
from tests.lifecycle.deciding import VERDICTS, decide, pass_over
from tests.lifecycle.expected import Expected
from tests.lifecycle.model import TASKS, WITH_LOCK, Model
from tests.lifecycle.seen import ENDED, HOLDERS, UNDECIDED, job_rows, numbers

SCHEDULED, RUNNING, FINISHED, EXCEPTION = Status
LOCK = "devices"
SAME = "the same as the job's"
MOST_JOBS = 3  # unfinished at once: few, so that much happens to each of them


class LifecycleMachine(Expected, RuleBasedStateMachine):
    jobs = Bundle("jobs")
    runs = Bundle("runs")  # every run that was ever granted: most of them are over

    def __init__(self) -> None:
        super().__init__()
        self.granted = []
        Job.objects.all().delete()
        Lock.objects.all().delete()
        self.model = {}
        self.rows = {}
        self.ends: dict[int, Any] = {}

    # --- calls --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self._unfinished() < MOST_JOBS)
    @rule(
        target=jobs,
        kind=st.sampled_from(["locked", "locked", "locked", "guarded", "rerun", "rerun", "plain"]),
        later=st.sampled_from([0, 0, 0, 1]),
    )
    def schedule(self, kind: str, later: int) -> int:
        at = database_now() + timedelta(hours=1) if later else None
        job_id: int = scheduling.schedule(TASKS[kind], {}, at=at).pk
        self.model[job_id] = Model(SCHEDULED, kind, due=not later, unapproved=kind == "guarded")
        return job_id

    @rule(job_id=jobs, verdict=st.sampled_from(["approve", "approve", "approve", *VERDICTS]))
    def decide(self, job_id: int, verdict: str) -> None:
        model = self.model[job_id]
        end = decide(job_id, verdict, waits=model.unapproved)
        model.unapproved = False
        if end is not None:
            self._ended(job_id, EXCEPTION, end)

    @rule(job_id=jobs, what=st.sampled_from(["fall due", "cancel", "abort", "abort", "clear", "wake", "upkeep"]))
    def intervene(self, job_id: int, what: str) -> None:
        """One rule for everything that is rarer than messages and ends of runs."""
        match what:
            case "fall due":
                self._fall_due(job_id)
            case "cancel":
                self._cancel(job_id)
            case "abort":
                self._abort(job_id)
            case "clear":
                self._clear_lock()
            case "wake":  # upkeep's second look: never harmful
                assert [*line.of(LOCK).values_list("pk", flat=True)] == self._in_line()
                line.wake(LOCK)
            case "upkeep":
                pass_over(job_id)

    def _fall_due(self, job_id: int) -> None:
        model = self.model[job_id]
        if model.status is SCHEDULED and not model.due:
            Job.objects.filter(pk=job_id).update(scheduled_time=database_now())
            model.due = True

    @rule(target=runs, job_id=jobs, lock_name=st.sampled_from([SAME, SAME, None, LOCK, "another"]))
    def deliver(self, job_id: int, lock_name: str | None) -> Any:
        """A message of the job reaches a worker: its first, a second copy, or one from long ago.

        Where the worker is of another release, its task may have another lock than the job, which has its own.
        """
        return self._deliver(job_id, lock_name)

    @rule(job_id=jobs)
    def deliver_to_another_task(self, job_id: int) -> None:
        answer = transitions.claim(job_id, task_name="another", lock_name=LOCK, run_token=uuid4(), worker="w")
        assert isinstance(answer, Refused)

    @precondition(lambda self: self._waiting())
    @rule(target=runs, data=st.data())
    def deliver_to_one_that_waits(self, data: st.DataObject) -> Any:
        return self._deliver(data.draw(st.sampled_from(self._waiting())))

    def _deliver(self, job_id: int, lock_name: str | None = SAME) -> Any:
        model, token = self.model[job_id], uuid4()
        task = TASKS[model.kind]
        lock_name = task.lock if lock_name is SAME else lock_name
        answer = transitions.claim(job_id, task_name=task.name, lock_name=lock_name, run_token=token, worker="w")
        may = model.status is SCHEDULED and model.due and not model.unapproved
        if model.kind in WITH_LOCK:
            may = may and job_id == self._first_in_line() and self._holder() is None
        assert isinstance(answer, Run) is may, answer
        if not isinstance(answer, Run):
            assert isinstance(answer, Refused)
            return multiple()
        model.status, model.token, model.attempt = RUNNING, token, model.attempt + 1
        model.holds = model.kind in WITH_LOCK
        assert (answer.fence is not None) is model.holds
        assert answer.attempt == model.attempt
        self.granted.append(answer)
        return answer

    @precondition(lambda self: self._current())
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "retry", "lose"]), stop=st.sampled_from([0, 0, 1]))
    def go_on_with_one_that_runs(self, data: st.DataObject, how: str, stop: int) -> None:
        """Else most calls would come from runs that are over, and few jobs would get far."""
        run = data.draw(st.sampled_from(self._current()))
        if stop:
            self._abort(run.job_id)
        self._go_on(run, how)

    @precondition(lambda self: self._holder() is not None)
    @rule(target=jobs, how=st.sampled_from(["finish", "fail", "retry", "lose"]))
    def go_on_with_one_whose_lock_others_wait_for(self, how: str) -> Any:
        """Else hardly anybody sleeps in line when the lock comes free."""
        new: Any = multiple()
        if not self._in_line() and self._unfinished() < MOST_JOBS:
            new = self.schedule(kind="locked", later=0)
            self.rows = job_rows()
        for job_id in self._in_line():
            self._deliver(job_id)
        (run,) = [run for run in self._current() if run.job_id == self._holder()]
        self._go_on(run, how)
        return new

    def _go_on(self, run: Run, how: str) -> None:
        match how:
            case "finish":
                self.finish(run=run)
            case "fail":
                self.fail(run=run)
            case "retry":
                self.retry(run=run, later=False)
            case "lose":
                self.lose(run=run, why="WorkerLost")

    @rule(run=runs)
    def claim_again(self, run: Run) -> None:
        """The answer to a claim was lost with the connection, and the worker asks again."""
        model = self.model[run.job_id]
        task = TASKS[model.kind]
        answer = transitions.claim(
            run.job_id, task_name=task.name, lock_name=task.lock, run_token=run.run_token, worker=run.worker
        )
        if self._is_current(run):
            assert answer == run
        elif isinstance(answer, Run):  # a run that is over, and its job waits again: it becomes a new one
            assert model.status is SCHEDULED
            assert transitions.fail(answer, Failure(type="ValueError", message="not asked for"))
            self._ended(run.job_id, EXCEPTION, "ValueError", attempt=True)

    @rule(run=runs)
    def finish(self, run: Run) -> None:
        done = transitions.finish(run, Outcome(result='"done"'))
        assert done is self._is_current(run)
        if done:
            self._ended(run.job_id, FINISHED)

    @rule(run=runs)
    def fail(self, run: Run) -> None:
        done = transitions.fail(run, Failure(type="ValueError", message="it broke"))
        assert done is self._is_current(run)
        if done:
            self._ended(run.job_id, EXCEPTION, "ValueError")

    @rule(run=runs, later=st.sampled_from([False, False, True]))
    def retry(self, run: Run, later: bool) -> None:
        done = transitions.retry(run, due=3600 if later else 0, reason="again")
        assert done is self._is_current(run)
        if done and self.model[run.job_id].abort:
            self._ended(run.job_id, EXCEPTION, "JobAborted")
        elif done:
            self._waits_again(run.job_id, due=not later)

    @rule(run=runs, why=st.sampled_from(["WorkerLost", "WorkerShutdown", "TimeLimitExceeded"]))
    def lose(self, run: Run, why: str) -> None:
        model = self.model[run.job_id]
        done = transitions.lose(run.job_id, run.run_token, type=why, message="gone")
        assert done is self._is_current(run)
        if done and model.kind == "rerun" and why != "TimeLimitExceeded" and not model.abort:
            self._waits_again(run.job_id, due=True)
        elif done:
            self._ended(run.job_id, EXCEPTION, why)

    def _cancel(self, job_id: int) -> None:
        done = transitions.cancel(job_id, Failure(type="LockWaitTimeout", message="too long"))
        assert done is (self.model[job_id].status is SCHEDULED)
        if done:
            self._ended(job_id, EXCEPTION, "LockWaitTimeout")

    def _abort(self, job_id: int) -> None:
        model = self.model[job_id]
        before = model.status
        try:
            transitions.abort(job_id, reason="enough", by="me")
        except JobNotAbortable:
            assert before in TERMINAL
            return
        assert before not in TERMINAL
        if before is SCHEDULED:
            self._ended(job_id, EXCEPTION, "JobAborted")
        else:
            model.abort = True

    def _clear_lock(self) -> None:
        holder = self._holder()
        try:
            cleared = locks.clear(LOCK, who="me", origin="test", user=None)
        except locks.LockNotFound:
            assert holder is None
            return
        assert cleared.holder_id == holder
        self.model[cleared.holder_id].holds = False

    # --- what must hold after each of them ----------------------------------------------------------------------------

    @invariant()
    def promises_hold(self) -> None:
        self.rows = job_rows()
        self._the_rows_are_as_the_model_says()
        self._an_end_is_for_ever()
        self._the_lock_has_one_holder_and_its_token()
        self._nobody_sleeps_before_a_free_lock()

    def _the_rows_are_as_the_model_says(self) -> None:
        assert self.rows.keys() == self.model.keys()
        for row in self.rows.values():
            model = self.model[row.pk]
            found = row.status, row.run_token, row.attempt, row.exception_type, row.abort_reason is not None
            assert found == (model.status, model.token, model.attempt, model.end, model.abort), row.pk
            assert (row.finish_time is not None) is (model.status in TERMINAL)
            assert row.unapproved is (True if model.unapproved else None)
            assert not model.unapproved or (row.parked and row.dispatched_at is None)  # nobody sends it a message
        assert {*numbers(UNDECIDED)} == {job_id for job_id, model in self.model.items() if model.unapproved}

    def _an_end_is_for_ever(self) -> None:
        now = {job_id: row.finish_time for job_id, row in self.rows.items() if Status(row.status) in TERMINAL}
        assert self.ends.items() <= now.items()
        self.ends = now
        assert {*numbers(ENDED)} == set(now)

    def _the_lock_has_one_holder_and_its_token(self) -> None:
        holders = [job_id for job_id, model in self.model.items() if model.holds]
        assert holders == numbers(HOLDERS)
        for job_id in holders:
            standing = store().standing_of(job_id)
            assert self.rows[job_id].status == RUNNING
            assert standing is not None
            assert self.rows[job_id].fence == standing.fence is not None

    def _nobody_sleeps_before_a_free_lock(self) -> None:
        if self._holder() is None and (first := self._first_in_line()) is not None:
            assert not self.rows[first].parked
