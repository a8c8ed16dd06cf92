"""The steps of one device, one after the other: a safe point before each, and what ends them early."""

import threading
from typing import Any

import pytest

from jobs.lifecycle import transitions
from jobs.models import JobDevice
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform_job, result_of

pytestmark = pytest.mark.django_db(transaction=True)

committed: list[str] = []
begun: list[str] = []


@job
def in_two_steps(ctx: JobContext, *, hosts: list[str]) -> None:
    def prepare(device: str) -> str | None:
        if device == "stops":
            with ctx.database():
                transitions.abort(ctx.job_id, reason="enough", by="operator")
        return "nothing to do" if device == "same" else None

    def commit(device: str) -> str:
        committed.append(device)
        return "committed"

    ctx.each(hosts, prepare, commit, at_once=1)


@pytest.fixture(autouse=True)
def _anew() -> None:
    committed.clear()
    begun.clear()


def test_a_step_that_returns_a_report_is_the_last_of_its_device() -> None:
    ended = perform_job(in_two_steps, hosts=["same", "differs"])
    assert result_of(ended) == {"devices": {"same": "nothing to do", "differs": "committed"}}
    assert committed == ["differs"]


def test_no_step_begins_when_the_job_was_told_to_stop_in_the_one_before() -> None:
    ended = perform_job(in_two_steps, hosts=["stops"])
    assert (ended.exception_type, committed) == ("JobAborted", [])
    assert result_of(ended)["devices"]["stops"]["reason"].startswith("not done: enough")


@job(lock="devices")
def all_together(ctx: JobContext, *, stops_in: str) -> None:
    def step(name: str) -> Any:
        def work(device: str) -> str | None:
            begun.append(name)
            if name == stops_in and begun.count(name) == 1:
                with ctx.database():
                    transitions.abort(ctx.job_id, reason="enough", by="operator")
            return "done" if name == "confirm" else None

        return work

    ctx.each(["a", "b"], *map(step, ("prepare", "commit", "confirm")), at_once=1, all_or_none=True)


@pytest.mark.parametrize(("stops_in", "times"), [("commit", [2, 1, 0]), ("confirm", [2, 2, 2])])
def test_of_the_steps_that_all_do_together_only_the_last_goes_on_where_the_job_was_told_to_stop(
    stops_in: str, times: list[int]
) -> None:
    assert perform_job(all_together, stops_in=stops_in).exception_type == "JobAborted"
    assert [begun.count(name) for name in ("prepare", "commit", "confirm")] == times


@job
def hangs(ctx: JobContext, *, where: str) -> None:
    def act(device: str) -> None:
        if where == "act":
            never.wait(20)
            return
        with ctx.patience(60, "act"):
            with ctx.database():
                transitions.abort(ctx.job_id, reason="enough", by="operator")
            ctx.checkpoint()

    def back(device: str, why: str) -> Any:
        never.wait(20)

    ctx.each(["sw1"], act, seconds=0.2, back=back)


never = threading.Event()


@pytest.mark.parametrize(("where", "status"), [("act", Status.FINISHED), ("back", Status.EXCEPTION)])
def test_one_that_hangs_fails_with_the_step_that_it_hangs_in(where: str, status: Status) -> None:
    ended = perform_job(hangs, where=where)
    assert ended.status == status
    assert JobDevice.objects.get(job=ended).reason == f"{where}: no answer within 0.2 seconds"
