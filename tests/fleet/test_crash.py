"""The database server crashes: what a commit did not wait for may be gone, and what is left is still true."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection

from cnaasjobs.db.prepared import MANY
from jobs.dispatch import scheduling
from jobs.fleet.ahead import Ahead
from jobs.fleet.kept import Kept
from jobs.models import Job, JobDevice
from jobs.sql import store
from jobs.sql.device_signature import FleetStanding, Note
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform
from tests.fake_jobs import fleets
from tests.fleet.parts import WAITING, begun, joined, lose
from tests.services import PostgreSQL


def _crash(postgresql: PostgreSQL) -> None:
    connection.close()
    postgresql.kill()
    postgresql.start()


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_what_a_named_step_rests_on_outlives_a_crash(postgresql: PostgreSQL) -> None:
    run, taken = begun(take=2)
    store().take_devices(run, 1, lasting=True)
    _crash(postgresql)
    assert store().fleet_standing(run).is_mine
    assert JobDevice.objects.filter(participant=run.run_token).count() == 3
    first, second = (one.id for one in taken)
    store().note_steps(run, [Note(first, "commit", "it reverts", lasting=False)])
    store().note_steps(run, [Note(second, "commit", "it reverts", lasting=False), Note(first, "confirm", None)])
    _crash(postgresql)
    assert list(JobDevice.objects.filter(pk__in=[first, second]).order_by("pk").values_list("step", flat=True)) == [
        "confirm",
        "commit",
    ]


@job
def looks_then_commits(ctx: JobContext, *, hosts: list[str]) -> None:
    def one(device: str) -> str:
        ctx.about_to("commit")
        return device

    ctx.each(hosts, one, at_once=2, reads_first=True, beforehand=_happens)


def _happens(devices: Sequence[str]) -> None:
    if before:
        before.pop()()


before: list[Callable[[], None]] = []


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_a_run_is_not_lost_when_the_server_crashes_as_soon_as_it_has_begun(postgresql: PostgreSQL) -> None:
    """If a crash took its rows back, the process would take no part in it any more, and it would end as lost."""

    def crash() -> None:
        postgresql.kill()
        postgresql.start()

    before.append(crash)
    ended = perform(scheduling.schedule(looks_then_commits, {"hosts": ["a", "b", "c"]}))
    assert before == []
    assert ended.status == Status.FINISHED


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_a_device_that_a_dead_process_had_taken_waits_where_a_crash_took_that_back(postgresql: PostgreSQL) -> None:
    """Nothing was changed on it, so that it was never begun is true; another begins it."""
    run, _ = begun(["a"])
    assert store().take_devices(run, 1, lasting=False)[1]
    _crash(postgresql)
    is_there = JobDevice.objects.filter(participant=run.run_token).exists()  # as above
    assert lose(run)
    if is_there:
        assert Job.objects.get(pk=run.job_id).status == Status.EXCEPTION
    else:
        assert Job.objects.get(pk=run.job_id).status == Status.RUNNING
        assert [one.host for one in store().take_devices(joined(run), 1)[1]] == ["a"]


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_what_one_of_several_takes_outlives_a_crash_in_any_case(postgresql: PostgreSQL) -> None:
    run, _ = begun(take=0)
    helper = joined(run)
    for one, of in ((run, 0), (helper, MANY)):
        assert store().take_devices(one, 1, of=of, lasting=False)[1]
        _crash(postgresql)
        assert JobDevice.objects.filter(participant=one.run_token).count() == 1


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("lazy_log")
def test_no_step_is_noted_on_a_device_whose_taking_was_taken_back(postgresql: PostgreSQL) -> None:
    run, _ = begun()
    taken = store().take_devices(run, 1, lasting=False)[1][0].id
    _crash(postgresql)
    is_there = JobDevice.objects.filter(participant=run.run_token).exists()  # as above
    assert taken in store().note_steps(run, [Note(taken, "commit", None)]).noted or not is_there
    assert JobDevice.objects.filter(step="commit").exists() == is_there


@job
def commits_and_confirms(ctx: JobContext, *, hosts: list[str]) -> None:
    def one(device: str) -> str:
        ctx.about_to("commit")
        ctx.about_to("confirm")
        return device

    ctx.each(hosts, one, at_once=2, reads_first=True)


def _lasting(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[bool]]:
    """Which notes had to last, by the device's id."""
    seen: dict[int, list[bool]] = {}
    note_steps = store().note_steps

    def noted(run: Any, notes: Sequence[Note], *, of: int = 0) -> FleetStanding:
        for note in notes:
            seen.setdefault(note.id, []).append(note.lasting)
        return note_steps(run, notes, of=of)

    monkeypatch.setattr(store(), "note_steps", noted)
    return seen


@pytest.mark.django_db(transaction=True)
def test_a_step_that_replaces_another_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, nothing is claimed of a device that is lost; with the one before, perhaps what is wrong."""
    seen = _lasting(monkeypatch)
    hosts = ["a", "b", "c", "d", "e", "f"]
    ended = perform(scheduling.schedule(commits_and_confirms, {"hosts": hosts}))
    assert ended.status == Status.FINISHED
    assert [steps[-1] for steps in seen.values()] == [True] * len(hosts)


@job
def notes_in_turn(ctx: JobContext, *, hosts: list[str]) -> None:
    """The first device notes its step when the third has been taken, once the second is over; the third notes last."""
    third_is_taken, first_is_noted = threading.Event(), threading.Event()

    def one(device: str) -> str:
        if device == hosts[2]:
            third_is_taken.set()
        if device != hosts[1]:
            assert (third_is_taken if device == hosts[0] else first_is_noted).wait(20)
        ctx.about_to("commit")
        first_is_noted.set() if device == hosts[0] else None
        return device

    ctx.each(hosts, one, at_once=2, reads_first=True)


@pytest.mark.django_db(transaction=True)
def test_a_step_waits_for_the_disk_where_the_taking_of_its_device_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it enough that another was noted meanwhile, which did not wait."""
    monkeypatch.setattr(Ahead, "most", 0)  # what is taken ahead waits
    seen = _lasting(monkeypatch)
    ended = perform(scheduling.schedule(notes_in_turn, {"hosts": ["a", "b", "c"]}))
    assert ended.status == Status.FINISHED
    hosts = dict(JobDevice.objects.filter(job=ended).values_list("pk", "host"))
    assert {hosts[number]: lasting for number, lasting in seen.items()} == {"a": [False], "b": [False], "c": [True]}


@job
def loses_one(ctx: JobContext, *, hosts: list[str]) -> None:
    """The first device is given back between two of its steps, when the third has been taken, which then notes its own
    before the first is begun anew.
    """
    third_is_taken, is_given_back, third_is_noted = threading.Event(), threading.Event(), threading.Event()

    def one(device: str) -> str:
        if device == hosts[2]:
            third_is_taken.set()
            assert is_given_back.wait(20)
        elif device == hosts[0] and not is_given_back.is_set():
            ctx.about_to("commit")
            assert third_is_taken.wait(20)
            with ctx.database():
                waits = {"state": WAITING, "participant": None, "worker": None, "start_time": None}
                JobDevice.objects.filter(host=device).update(**waits)
            try:
                ctx.about_to("confirm")
            finally:
                is_given_back.set()
        elif device == hosts[0]:
            assert third_is_noted.wait(20)
        ctx.about_to("commit")
        third_is_noted.set() if device == hosts[2] else None
        return device

    ctx.each(hosts, one, at_once=2, reads_first=True)


@pytest.mark.django_db(transaction=True)
def test_a_step_that_was_not_written_makes_nothing_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ahead, "most", 0)
    seen = _lasting(monkeypatch)
    ended = perform(scheduling.schedule(loses_one, {"hosts": ["a", "b", "c"]}))
    assert ended.status == Status.FINISHED
    assert seen[JobDevice.objects.get(job=ended, host="c").pk] == [True]


@pytest.mark.django_db(transaction=True)
def test_what_was_taken_while_a_step_was_written_does_not_last_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    note_steps, lasted = store().note_steps, Kept.lasted
    asked, answered = [0.0], list[bool]()

    def noted(*args: Any, **more: Any) -> FleetStanding:
        asked[0] = time.monotonic()
        return note_steps(*args, **more)

    def heard(self: Kept, since: float) -> None:
        answered.append(since <= asked[0])
        lasted(self, since)

    monkeypatch.setattr(store(), "note_steps", noted)
    monkeypatch.setattr(Kept, "lasted", heard)
    assert perform(scheduling.schedule(commits_and_confirms, {"hosts": ["a", "b"]})).status == Status.FINISHED
    assert answered
    assert all(answered)


@pytest.mark.django_db(transaction=True)
def test_where_all_wait_for_each_other_each_taking_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    lasting: list[bool] = []
    take = store().take_devices

    def noted(run: Any, count: int, **more: Any) -> Any:
        lasting.append(more["lasting"])
        return take(run, count, **more)

    monkeypatch.setattr(store(), "take_devices", noted)
    hosts = [f"sw{number}" for number in range(25)]
    assert (
        perform(scheduling.schedule(fleets.all_or_none, {"hosts": hosts, "reads_first": True})).status
        == Status.FINISHED
    )
    assert lasting
    assert all(lasting)
