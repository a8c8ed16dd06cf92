"""What is known of devices after jobs that ended badly: marked just before a commit, compared with what was known."""

import functools
import threading
from typing import Any

import pytest
from django.db import DataError

from cnaasjobs.db.fill_in import fill_in
from devices.lab.driver import LabDriver
from devices.models import DeviceState
from devices.sync import state
from devices.sync.one_device import RUNS_THE_NEW
from devices.tasks import sync_devices
from jobs.models import Job
from jobs.run import Run
from jobs.sql import store
from jobs.task import JobContext
from jobs.testing import perform, perform_job
from tests.devices.lab import Lab, devices_of, note, reason
from tests.devices.test_pending import unreachable
from tests.devices.test_stopping import abort, clear, when
from tests.factory import claim
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def live(**kwargs: Any) -> Job:
    return perform_job(sync_devices, **{"all": True, "dry_run": False, "confirm_mode": 0, **kwargs})


def scheduled(**kwargs: Any) -> Job:
    return sync_devices.schedule(**{"all": True, "dry_run": False, "confirm_mode": 0, **kwargs})


def uncertain() -> dict[str, int | None]:
    found = DeviceState.objects.filter(uncertain_job_id__isnull=False)
    return dict(found.values_list("host", "uncertain_job_id"))


def known(lab: Lab, *names: str) -> None:
    """Devices that were committed; now the template wants something else of them."""
    lab.workers = 1
    lab.add(*names)
    live()
    for name in names:
        lab.change(name, motd="new")


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_only_the_devices_that_a_dead_job_was_about_to_change_are_uncertain(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    known(lab, "sw1", "sw2", "sw3")
    seen = {}

    def look() -> None:
        seen.update(uncertain())

    when(monkeypatch, "commit_config", "sw2", look)
    job = live(confirm_mode=mode)
    assert seen == dict.fromkeys(["sw1", "sw2"], job.pk)  # sw1 is committed; that is stored with others
    assert uncertain() == {}


@pytest.mark.parametrize("mode", [0, 1])
def test_a_job_that_ended_badly_leaves_no_mark_on_devices_that_it_did_not_change(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    known(lab, "sw1", "sw2", "sw3")
    job = scheduled(confirm_mode=mode)
    when(monkeypatch, "compare_config", "sw2", abort(job))
    perform(job)
    assert (job.exception_type, uncertain()) == ("JobAborted", {})
    lab.set_running("sw3", "hostname intruder\n")
    assert "changed outside" in reason(live(), "sw3")


def test_a_device_that_is_uncertain_is_compared_with_what_was_known_of_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(lab, "sw1", "sw2", "sw3")
    job = scheduled(confirm_mode=1)
    with monkeypatch.context() as patched:
        when(patched, "commit_config", "sw1", clear)
        perform(job)
    assert (job.exception_type, uncertain()) == ("LockLost", {"sw1": job.pk})
    LabDriver("sw1").rollback()  # its timer has run out
    lab.set_running("sw2", "hostname intruder\n")
    after = live()
    assert devices_of(after)["sw1"]["failed"] is False
    assert lab.running("sw1") == "hostname sw1\nmotd new\n"
    assert "changed outside" in reason(after, "sw2")
    assert lab.running("sw2") == "hostname intruder\n"
    assert uncertain() == {}


def test_an_uncertain_device_that_runs_something_else_is_left_alone_unless_forced(lab: Lab) -> None:
    known(lab, "sw1")
    DeviceState.objects.update(uncertain_job_id=41)
    lab.set_running("sw1", "hostname intruder\n")
    for dry_run in (True, False):
        job = live(dry_run=dry_run)
        assert reason(job, "sw1") == (
            "unknown since job 41: the device does not run what was known before; use force to overwrite that"
        )
        assert "-hostname intruder" in devices_of(job)["sw1"]["job_tasks"][2]["diff"]
    assert uncertain() == {"sw1": 41}
    assert devices_of(live(force=True))["sw1"]["failed"] is False
    assert (lab.running("sw1"), uncertain()) == ("hostname sw1\nmotd new\n", {})


@pytest.mark.parametrize("options", [{}, {"force": True}, {"resync": True}])
def test_a_device_changed_outside_to_exactly_what_it_should_be_is_in_sync(lab: Lab, options: dict[str, bool]) -> None:
    known(lab, "sw1")
    lab.set_running("sw1", "hostname sw1\nmotd new\n")
    said = "the configuration was changed outside since the last commit, and is exactly what it should be"
    for dry_run in (True, False):
        assert note(live(dry_run=dry_run, **options), "sw1") == f"{said}: taken as in sync"
    lab.options("sw1", fail="open")
    assert note(live(), "sw1") is None


def test_an_uncertain_device_that_runs_what_it_should_is_in_sync(lab: Lab) -> None:
    known(lab, "sw1")
    DeviceState.objects.update(uncertain_job_id=41)
    lab.set_running("sw1", "hostname sw1\nmotd new\n")
    assert "unknown since job 41" in (note(live(), "sw1") or "")
    assert uncertain() == {}


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_after_a_commit_that_failed_and_changed_nothing_what_was_known_holds(lab: Lab, mode: int) -> None:
    known(lab, "sw1")
    lab.options("sw1", fail="commit")
    assert reason(live(confirm_mode=mode), "sw1") == "commit failed: Commit refused by the device"
    assert uncertain() == {}
    lab.change("sw1", motd="hello")
    lab.options("sw1", fail="open")
    assert devices_of(live())["sw1"]["failed"] is False  # still in sync


@pytest.mark.parametrize("mode", [0, 1])
def test_after_a_commit_that_failed_half_way_nobody_knows(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    known(lab, "sw1")
    lab.options("sw1", fail="commit")
    when(monkeypatch, "commit_config", "sw1", lambda: lab.set_running("sw1", "hostname half\n"))
    job = live(confirm_mode=mode)
    assert reason(job, "sw1") == (
        "commit failed: Commit refused by the device; the device does not run what it ran before"
    )
    assert uncertain() == {"sw1": job.pk}
    lab.options("sw1")
    assert f"unknown since job {job.pk}" in reason(live(), "sw1")


@pytest.mark.parametrize(
    ("mode", "became"), [(0, "its state is not known"), (1, "if it was made, it reverts by itself")]
)
def test_after_a_first_commit_that_failed_a_second_diff_says_what_the_device_runs(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int, became: str
) -> None:
    lab.add("sw1", fail="commit")
    refused = "commit failed: Commit refused by the device"
    assert reason(live(confirm_mode=mode), "sw1") == refused  # it runs what it ran before
    for running, said in (("hostname half\n", became), ("hostname sw1\nmotd hello\n", RUNS_THE_NEW)):
        lab.set_running("sw1", "")
        when(monkeypatch, "commit_config", "sw1", functools.partial(lab.set_running, "sw1", running))
        assert reason(live(confirm_mode=mode), "sw1") == f"{refused}; {said}"
    assert devices_of(live(confirm_mode=mode))["sw1"]["failed"] is False  # there is nothing left to commit
    lab.add("sw2", fail="commit")
    gone = functools.partial(monkeypatch.setattr, LabDriver, "compare_config", None)
    when(monkeypatch, "commit_config", "sw2", gone)
    assert reason(live(confirm_mode=mode), "sw2") == f"{refused}; {became}"


@pytest.mark.parametrize("mode", [1, 2])
def test_after_a_rollback_to_something_else_nobody_knows(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    known(lab, "sw1")
    unreachable(monkeypatch, "sw1")
    rollback = LabDriver.rollback

    def half_way(self: LabDriver) -> None:
        rollback(self)
        lab.set_running("sw1", "hostname half\n")

    monkeypatch.setattr(LabDriver, "rollback", half_way)
    job = live(confirm_mode=mode)
    assert reason(job, "sw1") == (
        "not reachable after the commit: no route to host; rolled back, but the device does not run what it ran before"
    )
    assert uncertain() == {"sw1": job.pk}


def test_devices_that_wait_for_their_mark_together_share_a_statement(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"sw{number}" for number in range(30)]
    known(lab, *names)
    lab.workers = 30
    lab.write()
    statements: list[list[str]] = []
    all_arrived = threading.Barrier(len(names), timeout=30)
    waiting: set[str] = set()
    original_about = state.DeviceStates.about_to_commit

    def about_to_commit(states: state.DeviceStates, host: str, step: str, **more: Any) -> None:
        nonlocal waiting
        waiting = states._to_mark
        all_arrived.wait()
        original_about(states, host, step, **more)

    def noted(*args: Any, keys: list[str], **kwargs: Any) -> None:
        if not statements:
            wait_until(lambda: len(waiting) == len(names))
        statements.append(keys)
        fill_in(*args, keys=keys, **kwargs)

    monkeypatch.setattr(state, "fill_in", noted)
    monkeypatch.setattr(state.DeviceStates, "about_to_commit", about_to_commit)
    job = live()
    assert not any(device["failed"] for device in devices_of(job).values())
    assert sorted(host for hosts in statements for host in hosts) == sorted(names)
    assert len(statements) < 10  # two, but a thread may be late between its name in the set and its wait


def test_devices_of_which_nothing_is_known_need_no_mark(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "fill_in", lambda *_, **__: pytest.fail("marked"))
    lab.add("sw1", "sw2")
    assert not any(device["failed"] for device in devices_of(live()).values())


def test_a_mark_is_removed_only_by_its_maker(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes of its job may be about to commit, or were lost while they did."""
    known(lab, "sw1", "sw2", "sw3", "sw4")
    monkeypatch.setattr(state, "_MANY", 2)
    job = scheduled()
    run = claim(job)
    assert isinstance(run, Run)
    marked = DeviceState.objects.filter
    marked(host="sw1").update(uncertain_job_id=job.pk)
    hosts = ["sw1", "sw2", "sw3", "sw4"]
    states = state.DeviceStates(JobContext(run), hosts)
    marked(host="sw2").update(uncertain_job_id=job.pk)
    marked(host="sw3").update(uncertain_job_id=987)
    for host in ("sw1", "sw3", "sw4"):
        states.about_to_commit(host, "commit", if_lost=None)
    assert uncertain() == {"sw1": job.pk, "sw2": job.pk, "sw3": 987, "sw4": job.pk}
    for host in hosts:
        states.unchanged(host)
    states.close()
    assert uncertain() == {"sw1": job.pk, "sw2": job.pk, "sw3": 987}


def test_whether_the_job_may_go_on_is_the_last_that_is_asked_before_a_commit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(lab, "sw1")
    order: list[str] = []
    note_steps = store().note_steps

    def noted(*args: Any, **more: Any) -> Any:
        order.append("asked")
        return note_steps(*args, **more)

    def marked(*args: Any, **more: Any) -> None:
        order.append("marked")
        fill_in(*args, **more)

    monkeypatch.setattr(store(), "note_steps", noted)
    monkeypatch.setattr(state, "fill_in", marked)
    when(monkeypatch, "commit_config", "sw1", lambda: order.append("commits"))
    assert not devices_of(live())["sw1"]["failed"]
    assert order == ["marked", "asked", "commits"]


def test_a_mark_that_the_database_refuses_for_good_fails_the_device(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    known(lab, "sw1")

    def refused(*_: Any, **__: Any) -> None:
        raise DataError("not this one")

    monkeypatch.setattr(state, "fill_in", refused)
    assert reason(live(), "sw1") == "internal error: DataError: not this one"
    assert lab.running("sw1") == "hostname sw1\nmotd hello\n"
