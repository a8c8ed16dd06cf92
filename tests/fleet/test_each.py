"""``ctx.each`` in one process: what a job's devices leave behind."""

import json
import threading
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from jobs.dispatch import scheduling
from jobs.fleet import reports, result
from jobs.fleet.hands import Piece
from jobs.fleet.reports import DeviceFailed, finished
from jobs.lifecycle import transitions
from jobs.models import Fleet, Job, JobDevice, JobOutcome, Participant
from jobs.sql import store
from jobs.states import JobDeviceState, Status
from jobs.task import DeviceResult, JobContext, JobTask, job
from jobs.testing import exception_of, perform, perform_job, result_of
from locks import service as locks
from tests.fake_jobs import fleets
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def hosts_of(job: Job) -> list[tuple[str, str, bool]]:
    return list(JobDevice.objects.filter(job=job).order_by("place").values_list("host", "state", "failed"))


def test_the_result_is_made_of_the_reports_in_the_order_of_the_selection() -> None:
    names = [f"sw{number}" for number in range(10)]
    job = perform_job(fleets.each, hosts=names, at_once=3)
    assert (job.status, job.change_score) == (Status.FINISHED, 0)
    reports = ", ".join(f'"{name}": {{"name": "{name}"}}' for name in names)
    assert job.outcome.result == f'{{"devices": {{{reports}}}}}'
    assert sorted(json.loads(job.finished_devices or "")) == names
    assert hosts_of(job) == [(name, JobDeviceState.DONE, False) for name in names]
    assert not locks.held().exists()
    assert not Participant.objects.exists()


def test_nobody_is_asked_to_help_where_one_process_writes_at_a_time() -> None:
    job = perform_job(fleets.all_or_none, hosts=["a", "b"])
    assert job.status == Status.FINISHED
    assert Fleet.objects.get(pk=job.pk).helpers == (4 if store().shares_devices else 0)


def test_one_device_that_fails_does_not_stop_the_others() -> None:
    devices = ["a=fails", "b=breaks", "c=exits", "d=bytes", "e=score:40", "f"]
    job = perform_job(fleets.each, hosts=devices, at_once=2)
    assert (job.status, job.change_score) == (Status.FINISHED, 40)
    reasons = dict(JobDevice.objects.filter(job=job, failed=True).values_list("host", "reason"))
    assert reasons["a=fails"] == "it said no"
    assert reasons["b=breaks"] == "RuntimeError: it broke"
    assert reasons["c=exits"] == "SystemExit: 3"
    assert "cannot be stored as JSON" in (reasons.pop("d=bytes") or "")
    assert list(reasons) == ["a=fails", "b=breaks", "c=exits"]
    found = result_of(job)["devices"]
    assert found["a=fails"] == {"said": "no"}
    assert found["b=breaks"] == {"failed": True, "reason": "RuntimeError: it broke"}
    assert found["f"] == {"name": "f"}
    scored = JobDevice.objects.get(job=job, host="e=score:40")
    assert (scored.change_score, json.loads(scored.memo or "")) == (40, {"seen": "e=score:40"})
    assert JobDevice.objects.get(job=job, host="a=fails").change_score == 7
    assert dict(JobDevice.objects.filter(job=job, host__in=["e=score:40", "f"]).values_list("host", "changed")) == {
        "e=score:40": True,
        "f": None,
    }


def test_whatever_a_device_returns_or_raises_is_its_own_failure() -> None:
    job = perform_job(fleets.each_odd)
    assert job.status == Status.FINISHED
    failed = [(name, JobDeviceState.DONE, True) for name in fleets.ODD]
    assert hosts_of(job) == [*failed, ("sw1", JobDeviceState.DONE, False)]
    reasons = dict(JobDevice.objects.filter(job=job).values_list("host", "reason"))
    assert reasons["an exception for a reason"] == "TimeoutError: no answer"
    assert reasons["a number for a reason"] == "404"
    assert reasons["failed is true"] == "failed is True, and must be text that says why, or None"
    assert reasons["changed is text"] == "changed is 'maybe', and must be true, false or None"
    assert reasons["an odd object for a reason"] == "what was returned for it cannot be stored (RuntimeError)"
    assert list(result_of(job)["devices"]) == [*fleets.ODD, "sw1"]


@pytest.mark.parametrize("what", ["report", "memo"])
def test_what_a_device_made_too_long_is_its_own_failure(what: str, settings: Any) -> None:
    settings.CNAASJOBS_RESULT_MAX_MB = 0.01
    made: dict[str, Any] = {"report": 1, what: "x" * 60_000}
    over = reports.finished(piece(7, "sw1"), DeviceResult(**made))
    assert over.reason == f"the {what} of sw1 has 0.1 MB, more than CNAASJOBS_RESULT_MAX_MB (0.01)"
    assert json.loads(over.report) == {"failed": True, "reason": over.reason}
    assert over.memo is None


def test_whatever_a_step_is_called_can_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    job = perform_job(fleets.each_says_odd_steps)
    assert hosts_of(job) == [("sw1", JobDeviceState.DONE, False), ("sw2", JobDeviceState.DONE, False)]
    for step, if_lost in JobDevice.objects.filter(job=job).values_list("step", "if_lost"):
        assert (step[:10], len(step)) == ("reload \ufffdxx", 64)
        assert len(if_lost or "") == 1000


def piece(number: int, host: str) -> Piece:
    return Piece(lambda piece: None, number, host, host)


def test_what_cannot_be_kept_of_a_device_is_cut_or_refused() -> None:
    assert len(finished(piece(1, "a"), DeviceFailed("why " * 1000)).reason or "") == 1000
    for score in (-1, 101, 5.0, True):
        done = finished(piece(1, "a"), DeviceResult(report="good", change_score=score))  # type: ignore[arg-type]
        assert done.reason == f"the change_score {score!r} is not an integer from 0 to 100"
        assert done.change_score is None


def test_without_devices_there_are_no_rows() -> None:
    job = perform_job(fleets.each, hosts=[])
    assert (job.outcome.result, job.finished_devices, job.change_score) == ('{"devices": {}}', "[]", 0)
    assert (Fleet.objects.count(), JobDevice.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("hosts", "words"), [(["a", "b", "a"], "a is among the devices twice"), (["x" * 256], "1 to 255 characters")]
)
def test_a_selection_that_cannot_be_is_refused(hosts: list[str], words: str) -> None:
    job = perform_job(fleets.each, hosts=hosts)
    assert job.exception_type == "ValueError"
    assert words in (exception_of(job) or {})["message"]


def test_a_second_call_of_each_fails_the_job_and_keeps_the_first_result() -> None:
    job = perform_job(fleets.each_twice, hosts=["a"])
    assert job.exception_type == "RuntimeError"
    assert result_of(job) == {"devices": {"a": {"name": "a"}}}  # what is known outlives it


def test_a_body_may_return_a_result_of_its_own() -> None:
    said = [result_of(perform_job(fleets.each_with_result, hosts=hosts)) for hosts in (["a", "b=fails"], [])]
    assert said == ["2 devices, 1 failed", "0 devices, 0 failed"]


def test_a_device_that_hangs_fails_alone() -> None:
    job = perform_job(fleets.each_hung, hosts=["a=hangs", "b", "c", "d=hangs", "e"])
    assert job.status == Status.FINISHED
    found = result_of(job)["devices"]
    assert found["a=hangs"] == "a=hangs hangs in act"
    assert found["e"] == {"name": "e"}


@pytest.mark.parametrize("limit", [256 * 1024, 50])
def test_a_long_result_is_made_of_the_rows_when_it_is_read(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result, "COPIED_BYTES", limit)
    job = perform_job(fleets.each, hosts=["a=big:100", "b", "c=fails"])
    outcome = JobOutcome.objects.get(pk=job.pk)
    assert (outcome.result is None) == (limit == 50)
    expected = {"devices": {"a=big:100": "x" * 100, "b": {"name": "b"}, "c=fails": {"said": "no"}}}
    assert result_of(job) == expected
    (found,) = store().outcomes([job.pk], shorter_than=20)
    assert (found.result, found.long) == (None, len(json.dumps(expected)) if limit > 50 else outcome.devices_bytes)
    assert json.loads(b"".join(store().result_in_parts(job.pk, 64))) == expected


@job(lock="devices")
def stopped(ctx: JobContext, *, hosts: list[str], how: str) -> None:
    """The third device is where it is told to stop."""
    done: list[str] = []

    def one(device: str) -> str:
        if len(done) == 2:
            _stop(ctx, how)
        ctx.checkpoint()
        done.append(device)
        return device

    ctx.each(hosts, one, at_once=1)


def _stop(ctx: JobContext, how: str) -> None:
    with ctx.database():
        match how:
            case "aborted":
                transitions.abort(ctx.job_id, reason="enough", by="operator")
            case "cleared":
                locks.clear("devices", who="operator", origin="test", user=None)
            case "ended":
                JobDevice.objects.filter(job_id=ctx.job_id, state=JobDeviceState.TAKEN.value).update(
                    state=JobDeviceState.WAITING.value, participant=None
                )
                Participant.objects.all().delete()
                Job.objects.filter(pk=ctx.job_id).update(run_token=uuid4())


@pytest.mark.parametrize(("how", "type_"), [("aborted", "JobAborted"), ("cleared", "LockLost")])
def test_what_is_known_outlives_a_job_that_was_stopped(how: str, type_: str) -> None:
    job = perform_job(stopped, hosts=["a", "b", "c", "d", "e"], how=how)
    assert job.exception_type == type_
    assert [(state, failed) for _, state, failed in hosts_of(job)] == [
        (JobDeviceState.DONE, False),
        (JobDeviceState.DONE, False),
        (JobDeviceState.DONE, True),
        (JobDeviceState.WAITING, False),
        (JobDeviceState.WAITING, False),
    ]
    found = result_of(job)["devices"]
    assert list(found) == ["a", "b", "c"]
    assert found["c"]["reason"].startswith("not done: ")
    assert json.loads(job.finished_devices or "") == ["a", "b"]  # c was taken back with the job


def test_a_participant_that_was_judged_lost_ends_nothing() -> None:
    job = scheduling.schedule(stopped, {"hosts": ["a", "b", "c", "d"], "how": "ended"})
    job = perform(job)
    assert job.status == Status.RUNNING
    assert {state for _, state, _ in hosts_of(job)} == {JobDeviceState.WAITING}  # what it had not written is not taken


def test_an_attempt_begins_with_rows_of_its_own() -> None:
    job = perform_job(retried, hosts=["a", "b"])
    assert job.status == Status.SCHEDULED
    assert {row.host for row in JobDevice.objects.filter(job=job)} == {"a", "b"}
    Job.objects.filter(pk=job.pk).update(scheduled_time=job.scheduled_time.replace(year=2020))
    job = perform(job)
    assert (job.status, job.attempt) == (Status.FINISHED, 2)
    assert result_of(job) == {"devices": {"a": {"name": "a"}}}
    assert [row.host for row in JobDevice.objects.filter(job=job)] == ["a"]


@job
def retried(ctx: JobContext, *, hosts: list[str]) -> None:
    ctx.each(hosts[: 3 - ctx.attempt], fleets.act)
    if ctx.attempt == 1:
        ctx.retry(countdown=0)


# --- several steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "reports"),
    [
        (["a", "b"], {"a": ["prepare", "commit", "confirm"], "b": ["prepare", "commit", "confirm"]}),
        (["a", "b=nothing to do"], {"a": ["prepare", "commit", "confirm"], "b=nothing to do": ["prepare"]}),
    ],
)
def test_all_steps_are_done_on_all_devices(
    hosts: list[str], reports: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Mock(wraps=store().decide)
    monkeypatch.setattr(store(), "decide", decide)
    assert result_of(perform_job(fleets.all_or_none, hosts=hosts)) == {"devices": reports}
    assert decide.call_count == 2  # once for each step: what the devices have done is written before


@pytest.mark.parametrize(("fails_in", "so_far"), [("prepare", ["prepare"]), ("commit", ["prepare", "commit"])])
def test_with_all_or_none_one_failure_takes_all_back(fails_in: str, so_far: list[str]) -> None:
    hosts = ["a", f"b={fails_in}", "c"]
    job = perform_job(fleets.all_or_none, hosts=hosts)
    found = result_of(job)["devices"]
    assert found["a"] == found["c"] == [*so_far, "back"]
    assert found[hosts[1]] == {"failed": True, "reason": f"no {fails_in}"}
    assert dict(JobDevice.objects.filter(job=job).values_list("host", "reason"))["a"] == hosts[1]
    assert not JobDevice.objects.filter(job=job, failed=False).exists()


def test_a_failure_in_the_last_step_is_that_devices_own() -> None:
    found = result_of(perform_job(fleets.all_or_none, hosts=["a", "b=confirm"]))["devices"]
    assert found["a"] == ["prepare", "commit", "confirm"]
    assert found["b=confirm"] == {"failed": True, "reason": "no confirm"}


def test_only_so_many_devices_are_begun_at_once() -> None:
    together = threading.Barrier(3)
    at_once = MostAtOnce(lambda device: together.wait(30))
    perform_job(at_once.task, hosts=[f"sw{n}" for n in range(12)])
    assert at_once.most == 3
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("device-")])


class MostAtOnce:
    """A job whose devices count how many of them are in progress."""

    def __init__(self, step: Any) -> None:
        self.most, self._now, self._mutex = 0, 0, threading.Lock()

        def counted(device: str) -> Any:
            with self._mutex:
                self._now += 1
                self.most = max(self.most, self._now)
            try:
                return step(device)
            finally:
                with self._mutex:
                    self._now -= 1

        @job(name="tests.most_at_once")
        def body(ctx: JobContext, *, hosts: list[str]) -> None:
            ctx.each(hosts, counted, at_once=3)

        self.task: JobTask = body
