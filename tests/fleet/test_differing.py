"""A helper that finds a different selection of devices from the first process leaves, and harms nothing."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.api.log_view import lines_of
from jobs.dispatch import scheduling
from jobs.end_reasons import EndReason
from jobs.lifecycle import transitions
from jobs.models import Job, JobDevice, Participant
from jobs.run import Run
from jobs.sql import store
from jobs.states import Status
from jobs.task import JobContext, JobResult, job
from jobs.testing import result_of
from tests.fleet.parts import Crew
from tests.waiting import wait_until

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")

HOSTS = ["sw0", "sw1", "sw2"]
RETURNS = ["then it returns without ctx.each"]


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """Only there several processes take from a table at once."""


class Selection:
    """What the helper finds of it, what happens before that, and who came to its end."""

    def __init__(self) -> None:
        self.of_helper: list[str] = []
        self.happens: Callable[[JobContext], Any] = lambda ctx: None
        self.begun: list[str] = []
        self.after: list[str] = []
        self.helped = False
        self.may_go_on = threading.Event()

    def crew(self) -> Crew:
        crew = Crew(scheduling.schedule(of_a_selection, {"hosts": HOSTS}))
        crew.first()
        wait_until(lambda: len(self.begun) == 2)
        return crew


_selections: list[Selection] = []


@pytest.fixture
def selection() -> Selection:
    _selections.append(Selection())
    return _selections[-1]


@job(helpers=4)
def of_a_selection(ctx: JobContext, *, hosts: list[str]) -> JobResult:
    selection = _selections[-1]

    def one(device: str) -> str:
        selection.begun.append(device)
        assert selection.may_go_on.wait(20)
        ctx.checkpoint()
        return device

    if ctx.worker == "helper":
        selection.happens(ctx)
        hosts = selection.of_helper
        if hosts == RETURNS:
            return JobResult("it has nothing to do")
    try:
        done = ctx.each(hosts, one, at_once=2, lost=lambda device, why: f"{device} of {len(hosts)} is lost")
    finally:
        selection.helped = selection.helped or ctx.worker == "helper"
    selection.after.append(ctx.worker)
    return JobResult(change_score=done.failed)


def test_one_that_finds_no_devices_does_not_end_the_job(selection: Selection) -> None:
    crew = selection.crew()
    crew.helper("helper")
    wait_until(lambda: selection.helped)
    selection.may_go_on.set()
    assert crew.wait().status == Status.FINISHED
    assert selection.after == ["first"]


def test_one_that_differs_says_so_once_and_comes_no_more(selection: Selection, heard: list[Event]) -> None:
    came: list[str] = []
    selection.happens, selection.of_helper = lambda ctx: came.append("helper"), HOSTS[1:]
    crew = selection.crew()
    crew.helper("helper")
    wait_until(lambda: selection.helped and Participant.objects.count() == 1)
    for _ in range(3):
        crew.helper("helper")
    wait_until(lambda: [event.action for event in heard].count(JobAction.NOT_JOINED) == 3)
    crew.helper("another")
    wait_until(lambda: len(selection.begun) == 3)
    selection.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, came) == (Status.FINISHED, ["helper"])
    assert set(JobDevice.objects.values_list("worker", flat=True)) == {"first", "another"}
    assert sum("does not help" in line.text for line in lines_of(ended.pk)) == 1


@pytest.mark.parametrize("how", ["it finds a device twice", "it asks for another attempt", "it returns"])
def test_one_that_fails_before_it_helps_leaves_the_job_to_the_others(
    selection: Selection, how: str, heard: list[Event]
) -> None:
    came: list[JobContext] = []
    selection.of_helper = RETURNS if how == "it returns" else ["sw0", "sw0"]

    def comes(ctx: JobContext) -> None:
        came.append(ctx)
        if how == "it asks for another attempt":
            ctx.retry(countdown=0)

    selection.happens = comes
    crew = selection.crew()
    crew.helper("helper")
    wait_until(lambda: came and Participant.objects.count() == 1)
    selection.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, ended.attempt, selection.after) == (Status.FINISHED, 1, ["first"])
    assert [event.fields["worker"] for event in heard if event.action is JobAction.LEAVE] == ["helper"]
    assert JobAction.FAIL not in {event.action for event in heard}
    assert [answer.info for answer in crew.answers] == [None, None]  # to Celery, none of them raised


def test_the_last_one_reports_lost_devices_also_those_that_it_does_not_know(selection: Selection) -> None:
    def lost_with_all_in_hand(ctx: JobContext) -> None:
        first = Participant.objects.get(worker="first")
        run = Run.of(Job.objects.get(pk=first.job_id), run_token=first.token, worker="first")
        store().take_devices(run, 1)
        assert transitions.lose(run.job_id, first.token, type=EndReason.WORKER_LOST, message="its process is gone")

    selection.happens, selection.of_helper = lost_with_all_in_hand, HOSTS[1:]
    crew = selection.crew()
    crew.helper("helper")
    wait_until(lambda: Job.objects.filter(pk=crew.job.pk, finish_time__isnull=False).exists())
    selection.may_go_on.set()
    ended = crew.wait()
    assert (ended.status, ended.change_score) == (Status.FINISHED, 3)
    reason = JobDevice.objects.get(host="sw0").reason
    known = {"sw1": "sw1 of 2 is lost", "sw2": "sw2 of 2 is lost"}
    assert result_of(ended)["devices"] == {"sw0": {"failed": True, "reason": reason}, **known}
