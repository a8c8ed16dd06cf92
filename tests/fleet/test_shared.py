"""Several bodies of one job at the same time, each in a thread as if it were a process; on PostgreSQL."""

import json
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError

from cnaasjobs.db.clock import database_now
from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.body.membership import Membership
from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import Job, JobDevice, Participant
from jobs.run import Run
from jobs.sql import store
from jobs.sql.device_signature import Batch, FleetStanding
from jobs.states import JobDeviceState, Status
from jobs.task import JobContext, JobResult, job
from jobs.testing import exception_of, result_of
from locks import service as locks
from tests import fake_jobs
from tests.fleet.parts import Crew, named
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """Only there several processes take from a table at once."""


class Body:
    """What the devices of a job do: each waits until it may go on, and who did what is noted by the worker's name."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.over: list[tuple[str, str]] = []
        self.after: list[str] = []
        self.entered: list[str] = []
        self.cleaned_up: list[str] = []
        self.failed: list[str] = []
        self.may_go_on = threading.Event()
        self.differs: set[str] = set()
        self.breaks: set[str] = set()
        self.struck: set[str] = set()
        self.slow: set[str] = set()
        self.broken: list[str] = []
        self.alone: Any = lambda: None

    def one(self, ctx: JobContext, device: str) -> str:
        self.begun.append((device, ctx.worker))
        ctx.about_to("commit", if_lost="it reverts by itself")
        while not self.may_go_on.is_set() and not ctx.next_stop(0.01):
            if ctx.worker in self.struck:
                ctx.soft_limit_reached()
        if ctx.worker in self.slow:  # what it has in hand takes a while to stop
            assert self.may_go_on.wait(20)
        ctx.checkpoint()
        self.over.append((device, ctx.worker))
        return device

    def begin(self, hosts: int = 8, **arguments: Any) -> Crew:
        names = [f"sw{number}" for number in range(hosts)]
        crew = Crew(scheduling.schedule(shared, {"hosts": names, **arguments}))
        crew.first()
        wait_until(lambda: len(self.begun) == arguments.get("at_once", 2))
        return crew

    def help(self, crew: Crew, worker: str, devices: int = 2) -> None:
        before = len(self.begun)
        crew.helper(worker)
        wait_until(lambda: len(self.begun) == before + devices)


_bodies: list[Body] = []


@job(lock="devices", helpers=4)
def shared(ctx: JobContext, *, hosts: list[str], at_once: int = 2, dry_run: bool = False) -> JobResult:
    body = _bodies[-1]
    if ctx.worker in body.breaks:
        if ctx.worker == "third":
            body.alone()
        body.broken.append(ctx.worker)
        raise RuntimeError(f"{ctx.worker} can't read its inventory")
    body.entered.append(ctx.worker)
    try:
        done = ctx.each(
            hosts,
            lambda device: body.one(ctx, device),
            at_once=at_once,
            lost=lambda device, why: f"{device}: {why}",
            back=lambda device, why: f"{device} was stopped",
            alike=ctx.worker if ctx.worker in body.differs else "",
        )
        body.after.append(ctx.worker)
    except Exception as exc:
        body.failed.append(type(exc).__name__)
        raise
    finally:
        body.cleaned_up.append(ctx.worker)
    return JobResult(change_score=done.failed)


@pytest.fixture
def body() -> Body:
    _bodies.append(Body())
    return _bodies[-1]


def tokens() -> dict[str, Any]:
    return dict(Participant.objects.values_list("worker", "token"))


def test_every_device_is_over_once_and_the_job_ends_once(body: Body) -> None:
    crew = body.begin(hosts=40)
    body.help(crew, "second")
    body.help(crew, "third")
    assert len(tokens()) == 3
    body.may_go_on.set()
    ended = crew.wait()
    assert ended.status == Status.FINISHED
    assert Counter(device for device, _ in body.begun) == Counter(f"sw{number}" for number in range(40))
    assert {worker for _, worker in body.over} == {"first", "second", "third"}
    assert len(body.after) == 1
    assert list(result_of(ended)["devices"]) == [f"sw{number}" for number in range(40)]
    assert sorted(json.loads(ended.finished_devices or "")) == sorted(f"sw{n}" for n in range(40))
    assert not Participant.objects.exists()
    assert not locks.held().exists()


def test_what_surrounds_the_devices_happens_in_each_process_and_what_follows_them_once(body: Body) -> None:
    """Also in one whose templates differ: who leaves goes through ``finally`` and ``with`` of the body."""
    crew = body.begin(at_once=1)
    body.help(crew, "second", devices=1)
    body.differs.add("third")
    crew.helper("third")
    wait_until(lambda: body.cleaned_up == ["third"])
    assert not body.after
    body.may_go_on.set()
    assert crew.wait().status == Status.FINISHED
    assert body.entered == ["first", "second", "third"]
    assert sorted(body.cleaned_up) == ["first", "second", "third"]
    assert len(body.after) == 1
    assert not body.failed  # to leave is no failure, and no ``except Exception`` of a body takes it for one


def test_an_invitation_that_is_delivered_twice_brings_two_and_no_device_twice(body: Body) -> None:
    crew = body.begin(hosts=12)
    body.help(crew, "second")
    crew.helper("third", message="twice")
    crew.helper("fourth", message="twice")
    wait_until(lambda: len(body.begun) == 8)
    assert set(tokens()) == {"first", "second", "third", "fourth"}
    body.may_go_on.set()
    assert crew.wait().status == Status.FINISHED
    assert sorted(device for device, _ in body.begun) == sorted(f"sw{number}" for number in range(12))
    assert len(body.after) == 1


def test_the_first_may_leave_and_the_job_goes_on(
    body: Body, monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> None:
    crew = body.begin(at_once=1)
    body.help(crew, "second", devices=1)
    second = tokens()["second"]
    leaving = Membership.told_to_leave
    monkeypatch.setattr(Membership, "told_to_leave", lambda self: self._run.worker == "first" or leaving(self))
    wait_until(lambda: JobAction.MAKES_ROOM in {event.action for event in heard})
    body.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, ended.worker) == (Status.FINISHED, "second")
    assert body.after == ["second"]
    assert [worker for _, worker in body.over].count("first") == 1  # the one that it was working on
    actions = [event.action for event in heard]
    assert [actions.count(one) for one in (JobAction.JOIN, JobAction.MAKES_ROOM, JobAction.LEAVE)] == [1, 1, 1]
    assert second not in tokens().values()


def test_a_helper_makes_room_for_a_job_that_waits_for_a_slot(body: Body, heard: list[Event]) -> None:
    crew = body.begin(at_once=1)
    body.help(crew, "second", devices=1)
    waits = fake_jobs.nothing.schedule()
    Job.objects.filter(pk=waits.pk).update(dispatched_at=database_now() - timedelta(seconds=1))
    wait_until(lambda: JobAction.MAKES_ROOM in {event.action for event in heard})
    body.may_go_on.set()
    assert crew.wait().status == Status.FINISHED  # by the first, unless that was done before the helper's device was
    assert [worker for _, worker in body.over].count("second") == 1  # the one that it was working on
    assert Counter(device for device, _ in body.begun) == Counter(f"sw{number}" for number in range(8))


def test_an_abort_ends_the_job_when_the_last_has_stopped(body: Body) -> None:
    crew = body.begin()
    body.help(crew, "second")
    transitions.abort(crew.job.pk, reason="enough", by="operator")
    assert Job.objects.get(pk=crew.job.pk).status == Status.RUNNING
    body.may_go_on.set()
    ended = crew.wait()
    assert ended.exception_type == "JobAborted"
    assert not body.after
    states = Counter(JobDevice.objects.filter(job=ended).values_list("state", "failed"))
    assert states == {(JobDeviceState.DONE, True): 4, (JobDeviceState.WAITING, False): 4}
    assert set(result_of(ended)["devices"].values()) == {f"sw{number} was stopped" for number in range(4)}
    assert not locks.held().exists()


@pytest.mark.parametrize(("last", "raised"), [("second", "TimeLimitExceeded"), ("first", "EndMet")])
def test_a_limit_that_strikes_one_stops_all(body: Body, last: str, raised: str) -> None:
    crew = body.begin()
    body.help(crew, "second")
    body.slow.add(last)
    body.struck.add("second")
    wait_until(lambda: set(tokens()) == {last})
    body.may_go_on.set()
    ended = crew.wait()
    assert (ended.exception_type, body.after, body.failed) == ("TimeLimitExceeded", [], [raised])
    assert {worker for _, worker in body.begun} == {"first", "second"}
    assert JobDevice.objects.filter(job=ended, state=JobDeviceState.WAITING.value).count() == 4


def test_what_fails_one_for_good_fails_the_job_when_the_last_has_left(
    body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store().write_devices

    def refuses(run: Run, batch: Batch) -> FleetStanding:
        if run.worker == "second":
            raise DataError("it can't be stored")
        return write(run, batch)

    monkeypatch.setattr(store(), "write_devices", refuses)
    crew = body.begin()
    body.slow.add("first")
    body.help(crew, "second")
    wait_until(lambda: set(tokens()) == {"first"})
    assert (Job.objects.get(pk=crew.job.pk).status, locks.held().exists()) == (Status.RUNNING, True)
    body.may_go_on.set()
    assert crew.wait().exception_type == "DataError"
    assert (body.after, body.failed) == ([], ["DataError", "EndMet"])


def _run_of(worker: str) -> Any:
    part = Participant.objects.get(worker=worker)
    return Run.of(Job.objects.get(pk=part.job_id), run_token=part.token, worker=worker)


def test_a_lost_participant_s_devices_failed_and_the_others_go_on(body: Body) -> None:
    crew = body.begin()
    body.help(crew, "second")
    token = tokens()["first"]
    assert transitions.lose(crew.job.pk, token, type=EndReason.WORKER_LOST, message="its process is gone")
    assert named(_run_of("second")) == tokens()["second"]
    body.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, ended.change_score) == (Status.FINISHED, 2)
    assert body.after == ["second"]
    found = result_of(ended)["devices"]
    lost = [device for device, worker in body.begun if worker == "first"]
    reasons = dict(JobDevice.objects.filter(job=ended, failed=True).values_list("host", "reason"))
    assert [found[device] for device in lost] == [f"{device}: {reasons[device]}" for device in lost]
    assert "was lost in commit: it reverts by itself" in (JobDevice.objects.get(job=ended, host=lost[0]).reason or "")
    assert [device for device, worker in body.over if worker == "first"] == []  # its safe point told it


def test_in_a_dry_run_they_are_begun_again(body: Body) -> None:
    crew = body.begin(dry_run=True)
    body.help(crew, "second")
    lost = {device for device, worker in body.begun if worker == "first"}
    assert transitions.lose(crew.job.pk, tokens()["first"], type=EndReason.WORKER_LOST, message="gone")
    body.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, ended.change_score) == (Status.FINISHED, 0)
    assert lost <= {device for device, worker in body.over if worker == "second"}
    assert set(JobDevice.objects.filter(job=ended, tries=1).values_list("host", flat=True)) == lost


def test_a_helper_whose_body_fails_before_its_devices_leaves_and_alone_it_fails_the_job(body: Body) -> None:
    crew = body.begin()
    body.breaks.add("second")
    crew.helper("second")
    wait_until(lambda: body.broken == ["second"] and len(tokens()) == 1)
    assert Job.objects.get(pk=crew.job.pk).status == Status.RUNNING
    body.breaks.add("third")
    body.alone = lambda: transitions.lose(
        crew.job.pk, tokens()["first"], type=EndReason.WORKER_LOST, message="its process is gone"
    )
    crew.helper("third")
    wait_until(lambda: Job.objects.filter(pk=crew.job.pk, exception_type="RuntimeError").exists(), timeout=10)
    body.may_go_on.set()
    ended = crew.wait()
    assert (exception_of(ended) or {})["message"] == "third can't read its inventory"
    assert not locks.held().exists()
