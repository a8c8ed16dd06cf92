"""What is known of each device after each way in which a sync can end, and which of them ``failed_of`` takes."""

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from devices.lab.driver import LabDriver
from devices.sync import state
from devices.tasks import sync_devices
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import Job, JobDevice
from jobs.states import JobDeviceState
from jobs.testing import perform, result_of
from tests.api.conftest import Api, api
from tests.devices.lab import Lab, note
from tests.devices.test_states import uncertain
from tests.devices.test_stopping import HOSTS, abort, clear, contexts, job_of, pending, when
from tests.waiting import wait_until

__all__ = ["api"]

pytestmark = pytest.mark.django_db(transaction=True)

DONE, TAKEN, WAITING = JobDeviceState.DONE.value, JobDeviceState.TAKEN.value, JobDeviceState.WAITING.value


@pytest.fixture(autouse=True)
def written_at_once(settings: Any) -> None:
    settings.CNAASJOBS_REPORT_SECONDS = 0.01


def states(job: Job) -> list[tuple[str, bool]]:
    return list(JobDevice.objects.filter(job=job).order_by("place").values_list("state", "failed"))


def undone(api: Api, job: Job) -> list[str]:
    reply = api.post("/device_syncto", {"failed_of": job.pk})
    assert reply.status == 200, reply.body
    names: list[str] = json.loads(Job.objects.get(pk=reply.body["job_id"]).start_arguments)["hostnames"]
    return names


def cut_off(job: Job, reason: EndReason) -> Callable[[], None]:
    """The worker's main process, or upkeep, ends it: the process of its body says nothing more."""

    def lose() -> None:
        # The third is written as begun once it has been in progress for a while.
        wait_until(lambda: [state for state, _ in states(job)] == [DONE, DONE, TAKEN, WAITING, WAITING])
        lost(job, reason)

    return lose


def lost(job: Job, reason: EndReason) -> None:
    run_token = Job.objects.get(pk=job.pk).run_token
    assert run_token is not None
    assert transitions.lose(job.pk, run_token, type=reason, message="it is gone")


def ends(job: Job, reason: EndReason, limit: Callable[[], object]) -> Callable[[], object]:
    match reason:
        case EndReason.JOB_ABORTED:
            return abort(job)
        case EndReason.LOCK_LOST:
            return clear
        case EndReason.TIME_LIMIT_EXCEEDED:
            return limit
        case _:
            return cut_off(job, reason)


@pytest.mark.parametrize(
    "reason",
    [
        EndReason.JOB_ABORTED,
        EndReason.LOCK_LOST,
        EndReason.TIME_LIMIT_EXCEEDED,
        EndReason.WORKER_LOST,
        EndReason.WORKER_SHUTDOWN,
    ],
)
@pytest.mark.parametrize("mode", [0, 1])
def test_what_is_known_of_each_device_outlives_the_job(
    lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch, mode: int, reason: EndReason
) -> None:
    job = job_of(lab, confirm_mode=mode)
    running = contexts(monkeypatch)
    when(monkeypatch, "compare_config", "sw3", ends(job, reason, lambda: running[0].soft_limit_reached()))
    perform(job)
    assert job.exception_type == reason
    assert states(job) == [(DONE, False), (DONE, False), (DONE, True), (WAITING, False), (WAITING, False)]
    assert json.loads(job.finished_devices or "")[:2] == ["sw1", "sw2"]
    reports = result_of(job)["devices"]
    assert reports["sw1"]["job_tasks"][1]["result"] == "hostname sw1\nmotd hello\n"
    shown = api.get(f"/job/{job.pk}/devices?report=1").data["devices"]
    assert [device["report"] for device in shown[:2]] == [reports["sw1"], reports["sw2"]]
    assert undone(api, job) == ["sw3", "sw4", "sw5"]


def test_a_hard_time_limit_leaves_the_rest_undone(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab)
    when(monkeypatch, "compare_config", "sw3", cut_off(job, EndReason.TIME_LIMIT_EXCEEDED))
    perform(job)
    assert job.exception_type == EndReason.TIME_LIMIT_EXCEEDED
    assert undone(api, job) == ["sw3", "sw4", "sw5"]


def killed_after(verb: str, host: str, job: Job) -> None:
    """Run the job in a process that is gone as soon as its driver has done this."""
    original = getattr(LabDriver, verb)

    def last(self: LabDriver, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        if self.hostname == host:
            os.kill(os.getpid(), signal.SIGKILL)

    connections.close_all()
    if (child := os.fork()) == 0:
        try:
            setattr(LabDriver, verb, last)
            perform(job)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("mode", "verb", "before", "said"),
    [
        (0, "commit_config", "commit: its state is not known", "commit: its state is not known"),
        (1, "commit_config", "confirm: its state is not known", "commit: the device reverts by itself by"),
        (1, "confirm_commit", "confirm: its state is not known", "confirm: its state is not known"),
    ],
)
def test_nothing_is_claimed_of_what_a_killed_process_had_done_and_not_yet_written(
    lab: Lab,
    api: Api,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    verb: str,
    before: str,
    said: str,
) -> None:
    """Of these devices nothing is claimed, and the next sync finds out."""
    settings.CNAASJOBS_REPORT_SECONDS = 60
    monkeypatch.setattr(state, "_SAVE_SECONDS", 60)
    perform(job_of(lab, confirm_mode=mode))
    for host in HOSTS:
        lab.change(host, motd="new")
    job = sync_devices.schedule(all=True, dry_run=False, confirm_mode=mode)
    began = datetime.now(UTC)
    killed_after(verb, "sw3", job)
    assert states(job)[:3] == [(TAKEN, False)] * 3
    lost(job, EndReason.WORKER_LOST)
    job.refresh_from_db()
    assert (job.exception_type, states(job)) == ("WorkerLost", [(DONE, True)] * 3 + [(WAITING, False)] * 2)
    reasons = list(JobDevice.objects.filter(job=job, failed=True).order_by("place").values_list("reason", flat=True))
    for known, words in zip(reasons, (before, before, said), strict=True):
        assert f"worker testing was lost in {words}" in (known or "")
    assert uncertain() == dict.fromkeys(HOSTS[:3], job.pk)
    reverts = pending(lab)
    assert reverts == (["sw3"] if "reverts" in said else [])
    at = [f"by {moment + timedelta(minutes=6):%H:%M} UTC" for moment in (began, datetime.now(UTC))]
    assert not reverts or any(end in (reasons[2] or "") for end in at)  # the commit may reach it a minute late
    for host in reverts:
        assert lab.running(host) == f"hostname {host}\nmotd hello\n"
        os.utime(lab.pending_file(host), ns=(0, 0))
    after = perform(sync_devices.schedule(all=True, dry_run=False, confirm_mode=mode))
    taken = f"unknown since job {job.pk}: the device does not run what was known before, and is exactly what it should"
    assert [taken in (note(after, host) or "") for host in HOSTS] == [True, True, not reverts, False, False]
    assert all(lab.running(host) == f"hostname {host}\nmotd new\n" for host in HOSTS)
    assert uncertain() == {}
    assert undone(api, job) == HOSTS


def test_an_all_or_none_that_was_aborted_left_all_undone(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab, confirm_mode=2)
    when(monkeypatch, "commit_config", "sw2", abort(job))
    perform(job)
    assert states(job) == [(DONE, True)] * 5
    assert json.loads(job.finished_devices or "") == []
    assert undone(api, job) == HOSTS


def test_a_sync_that_finished_left_those_undone_that_failed(lab: Lab, api: Api) -> None:
    job = job_of(lab)
    lab.options("sw2", fail="load")
    lab.options("sw4", fail="commit")
    perform(job)
    assert undone(api, job) == ["sw2", "sw4"]
    (device,) = api.get(f"/job/{job.pk}/devices/sw4").data["devices"]
    assert (device["failed"], device["reason"]) == (True, "commit failed: Commit refused by the device")
    assert device["report"] == result_of(job)["devices"]["sw4"]
    assert (device["step"], device["state"], device["worker"]) == ("commit", "DONE", "testing")


def test_one_that_was_aborted_before_it_started_left_all_undone(lab: Lab, api: Api) -> None:
    job = job_of(lab)
    abort(job)()
    assert undone(api, job) == HOSTS


def test_one_that_could_not_read_its_devices_left_all_undone(lab: Lab, api: Api) -> None:
    lab.add("sw1", "sw2")
    job = sync_devices.schedule(hostnames=["sw1", "sw2", "sw3"])
    perform(job)
    assert job.exception_type == "SelectionError"
    assert api.post("/device_syncto", {"failed_of": job.pk}).message.startswith(
        f"Devices of job {job.pk} are no longer in the inventory: sw3"
    )
    lab.add("sw3")
    assert undone(api, job) == ["sw1", "sw2", "sw3"]


def test_devices_are_seen_while_they_are_worked_on(lab: Lab, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(lab, confirm_mode=0)
    seen: list[dict[str, Any]] = []

    def look() -> None:
        wait_until(lambda: JobDevice.objects.filter(job=job, state=DONE).count() == 2)
        seen.extend(api.get(f"/job/{job.pk}/devices").data["devices"])

    when(monkeypatch, "commit_config", "sw3", look)
    perform(job)
    assert [device["state"] for device in seen] == ["DONE", "DONE", "TAKEN", "WAITING", "WAITING"]
    assert (seen[2]["step"], seen[2]["worker"], seen[3]["worker"]) == ("commit", "testing", None)
    history = api.get("/device/sw3/jobs?filter[status]=FINISHED").data["jobs"]
    assert [(row["job_id"], row["failed"]) for row in history] == [(job.pk, False)]
