"""When what is known of devices is stored, and what becomes of it when that fails."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from cnaasjobs.db.fill_in import fill_in
from cnaasjobs.db.insert import insert_many
from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.models import DeviceState
from devices.sync import state
from devices.sync.known import Fingerprint, Known
from devices.sync.state import DeviceStates
from devices.tasks import sync_devices
from jobs.errors import LockLost
from jobs.fleet import asking
from jobs.sql import store
from jobs.task import JobContext
from tests.devices.lab import Lab, devices_of
from tests.devices.test_states import known, live, uncertain
from tests.devices.test_stopping import clear
from tests.factory import claimed
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def states_of(*hosts: str) -> DeviceStates:
    """Of a run that has just begun."""
    return DeviceStates(JobContext(claimed(sync_devices.schedule(all=True, dry_run=False))), hosts)


def commit(states: DeviceStates, *hosts: str) -> None:
    for host in hosts:
        states.committed(host, rendered=f"hostname {host}", fingerprint=Fingerprint(), changed=True)


def stored() -> list[str]:
    return [found.host for found in DeviceState.objects.all()]


def once(
    raised: Exception, then: Callable[..., Any], meanwhile: Callable[[], Any] = lambda: None
) -> Callable[..., Any]:
    errors = [raised]

    def fails(*args: Any, **options: Any) -> Any:
        if errors:
            meanwhile()
            raise errors.pop()
        return then(*args, **options)

    return fails


def test_they_are_stored_when_some_time_is_over_or_when_there_are_many(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    unawaited: list[str] = []
    monkeypatch.setattr(state, "commit_unawaited", lambda: unawaited.append("commit"))
    monkeypatch.setattr(state, "_SAVE_SECONDS", 60)
    states = states_of()
    commit(states, "sw1")
    assert stored() == []
    states._saved_at -= 60
    commit(states, "sw2")
    assert stored() == ["sw1", "sw2"]
    DeviceState.objects.all().delete()
    commit(states, "sw3")  # the time begins anew
    assert stored() == []
    monkeypatch.setattr(state, "_BATCH", 2)
    commit(states, "sw4")
    assert (stored(), unawaited) == (["sw3", "sw4"], [])
    states.close()
    assert (stored(), unawaited) == (["sw3", "sw4"], [])
    commit(states, "sw5")
    states.close()
    assert (stored(), unawaited) == (["sw3", "sw4", "sw5"], ["commit"])


@pytest.mark.parametrize("raised", [OperationalError("it is away"), KeyError("a fault of ours")])
def test_what_was_not_stored_is_stored_the_next_time(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event], raised: Exception
) -> None:
    known(lab, "sw1", "sw2")
    states = states_of("sw1", "sw2")
    for host in ("sw1", "sw2"):
        states.about_to_commit(host, "commit", if_lost=None)
    states.unchanged("sw2")
    monkeypatch.setattr(state, "insert_many", once(raised, insert_many, lambda: states.unchanged("sw1")))
    states._saved_at -= state._SAVE_SECONDS
    if isinstance(raised, KeyError):
        with pytest.raises(KeyError):
            commit(states, "sw3")
    else:
        commit(states, "sw3")
    said = [event.fields["error"] for event in heard if event.action is DeviceAction.STATES_FAILED]
    assert said == ([] if isinstance(raised, KeyError) else ["it is away"])
    assert (stored(), list(uncertain())) == (["sw1", "sw2"], ["sw1", "sw2"])
    states.close()
    assert (stored(), uncertain()) == (["sw1", "sw2", "sw3"], {})


def test_a_mark_that_finds_the_lock_gone_stops_the_whole_job(lab: Lab) -> None:
    known(lab, "sw1")
    states = states_of("sw1")
    clear()
    with pytest.raises(LockLost):
        states.about_to_commit("sw1", "commit", if_lost=None)
    assert isinstance(states._ctx.stop_reason, LockLost)
    assert uncertain() == {}


def test_what_threads_share_is_changed_by_one_at_a_time(lab: Lab) -> None:
    """Else what is noted between two lines of a thread that stores it would be forgotten."""
    known(lab, "sw1", "sw2", "sw3")
    states = states_of("sw1", "sw2", "sw3")
    states.about_to_commit("sw1", "commit", if_lost=None)
    changes: list[Callable[[], object]] = [
        lambda: commit(states, "sw2"),
        lambda: states.unchanged("sw1"),
        lambda: states.about_to_commit("sw3", "commit", if_lost=None),
        states._save,
    ]
    with ThreadPoolExecutor(len(changes)) as pool:
        with states._mutex:
            waiting = [pool.submit(change) for change in changes]
            stays(lambda: not any(one.done() for one in waiting), seconds=0.2)
        for one in waiting:
            one.result(30)
        pool.submit(connections.close_all).result()
    states.close()
    assert list(uncertain()) == ["sw3"]


def test_what_is_known_is_read_again_on_a_new_connection(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []
    read = state._read

    def breaks_at_first(hosts: Sequence[str]) -> dict[str, Known]:
        known = read(hosts)
        used.append(connection.connection)
        if len(used) == 1:
            raise OperationalError("the connection is lost")
        return known

    known(lab, "sw1")
    monkeypatch.setattr(state, "_read", breaks_at_first)
    monkeypatch.setattr(JobContext, "next_stop", lambda *_: None)
    assert states_of("sw1")["sw1"].rendered_hash != ""
    assert len(used) == 2
    assert used[0] is not used[1]


def test_a_mark_waits_for_the_database(lab: Lab, monkeypatch: pytest.MonkeyPatch, heard: list[Event]) -> None:
    known(lab, "sw1")
    states = states_of("sw1")
    waits: list[float] = []
    monkeypatch.setattr(JobContext, "next_stop", lambda _, seconds: waits.append(seconds))
    monkeypatch.setattr(state, "fill_in", once(OperationalError("it is away"), fill_in))
    states.about_to_commit("sw1", "commit", if_lost=None)
    assert list(uncertain()) == ["sw1"]
    assert [event.fields["error"] for event in heard if event.action is DeviceAction.STATES_WAIT] == ["it is away"]
    assert len(waits) == 1


def test_what_a_crash_takes_back_just_before_the_end_is_stored_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not have waited for the disk, and to leave, which does, was not done."""
    known(lab, "sw1")
    monkeypatch.setattr(asking, "_RETRY_SECONDS", 0.0)
    leave = store().leave

    def crashes(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(store(), "leave", leave)
        DeviceState.objects.update(rendered_hash="before", running_hash="before", uncertain_job_id=1)
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(store(), "leave", crashes)
    assert not devices_of(live())["sw1"]["failed"]
    assert not uncertain()
    lab.change("sw1", motd="newest")
    assert not devices_of(live())["sw1"]["failed"]


def test_while_one_thread_stores_what_was_committed_no_other_waits_and_what_fails_is_stored_later(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"sw{number}" for number in range(8)]
    lab.workers = len(names)
    lab.add(*names)
    monkeypatch.setattr(state, "_BATCH", 1)  # each is due at once
    monkeypatch.setattr(state, "_SAVE_SECONDS", 0)
    all_arrived = threading.Barrier(len(names), timeout=30)  # with nothing left to ask the database
    others = threading.Barrier(len(names), timeout=30)  # the seven others are done, and the first one stores
    first = threading.Lock()
    committed = state.DeviceStates.committed
    stored: list[list[str]] = []

    def has_committed(states: state.DeviceStates, host: str, **more: Any) -> None:
        all_arrived.wait()
        if not first.acquire(blocking=False):
            wait_until(lambda: stored != [])
            committed(states, host, **more)
            others.wait()
            return
        committed(states, host, **more)

    def insert(rows: list[DeviceState], **more: Any) -> None:
        stored.append(sorted(row.host for row in rows))
        if len(stored) == 1:
            others.wait()  # the others have all noted theirs
            raise OperationalError("the connection is lost")
        insert_many(rows, **more)

    monkeypatch.setattr(state.DeviceStates, "committed", has_committed)
    monkeypatch.setattr(state, "insert_many", insert)
    assert not any(device["failed"] for device in devices_of(live()).values())
    assert stored[0] == stored[0][:1]
    assert stored[-1] == names
    assert DeviceState.objects.filter(uncertain_job_id=None).count() == len(names)
