"""socket.io as existing front ends speak it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from django.db import transaction

from cnaasjobs.live import connections, last_told, recent
from cnaasjobs.live.connections import JOBS_A_LOOK, Connection, lines_of, update_of
from cnaasjobs.live.last_told import LastTold
from jobs.feed import Kind, Told, objects
from jobs.models import Job, JobLog, JobOutcome
from jobs.sql.position import Change
from jobs.states import Status
from tests.factory import job_in, job_row, job_rows
from tests.live.conftest import Live
from tests.live.front_end import INFO, WARNING, Connect, connect, subscribed
from tests.waiting import stays, wait_until

__all__ = ["connect"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_a_front_end_gets_each_change_of_a_jobs_status(live: Live, connect: Connect, transports: list[str]) -> None:
    client = subscribed(connect(transports=transports), live)
    running = job_in(Status.RUNNING)
    wait_until(lambda: client.updates(running))
    assert client.updates(running) == [
        {"job_id": running.pk, "status": "RUNNING", "function_name": "nothing", "scheduled_by": None}
    ]
    failed = job_in(Status.EXCEPTION)
    wait_until(lambda: client.updates(failed))
    assert client.updates(failed)[-1] == {"job_id": failed.pk, "status": "EXCEPTION", "exception": "it broke"}


def test_progress_alone_is_not_sent_as_an_update(live: Live, connect: Connect) -> None:
    client = subscribed(connect(), live)
    running = job_in(Status.RUNNING)
    wait_until(lambda: client.updates(running))
    connect()  # another one changes nothing for who listens
    Job.objects.filter(pk=running.pk).update(finished_devices='["sw1"]')
    stays(lambda: len(client.updates(running)) == 1, seconds=0.7)


@pytest.mark.devices
def test_a_sync_that_ends_between_the_look_and_the_reading_is_told_once(
    live: Live, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look sees two changes of one row, one after the other, and both times it is read it has ended."""
    client = connect()
    client.subscribe(sync="all")
    subscribed(client, live)
    read, ended = objects.told, []

    def told(changes: list[Change]) -> list[Told]:
        for running in Job.objects.filter(pk__in=[change.id for change in changes], status="RUNNING"):
            finish(running)
            ended.append(running)
        return read(changes)

    monkeypatch.setattr(objects, "told", told)
    with transaction.atomic():
        job = job_row("RUNNING", task_name="devices.tasks.sync_devices", start_arguments='{"dry_run": false}')
        JobOutcome.objects.create(job=job, result=json.dumps({"devices": {"sw1": report("+ vlan 7")}}))
    wait_until(lambda: client.updates(job) and client.syncs(), message=lambda: str(client.got))
    after = job_in(Status.FINISHED)
    wait_until(lambda: client.updates(after))
    assert ended == [job]
    assert client.updates(job) == [{"job_id": job.pk, "status": "FINISHED"}]
    assert [each["syncevent_hostname"] for each in client.syncs()] == ["sw1"]


def test_what_was_told_of_too_many_jobs_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_told, "MOST", 2)
    known = LastTold()
    states = [{"id": number, "status": "FINISHED", "next_job_id": None} for number in (1, 2, 1, 3, 1, 2)]
    assert [known.update(job) is not None for job in states] == [True, True, False, True, False, True]


def test_an_end_that_names_its_next_job_only_later_is_told_again() -> None:
    known = LastTold()
    states = [
        {"id": 1, "status": status, "next_job_id": after}
        for status, after in (("SCHEDULED", None), ("FINISHED", None), ("FINISHED", None), ("FINISHED", 2))
    ]
    assert [known.update(job) for job in states] == [
        None,
        {"job_id": 1, "status": "FINISHED"},
        None,
        {"job_id": 1, "status": "FINISHED", "next_job_id": 2},
    ]


@pytest.mark.parametrize("goodbye", ["41", "1"], ids=["by socket.io", "by engine.io"])
def test_whoever_polls_and_leaves_is_answered_at_once(live: Live, goodbye: str) -> None:
    url = f"{live.url}/socket.io/?EIO=4&transport=polling&jwt=null"
    sid = json.loads(requests.get(url, timeout=10).text[1:])["sid"]
    requests.post(f"{url}&sid={sid}", data="40", timeout=10)
    assert requests.get(f"{url}&sid={sid}", timeout=10).text.startswith("40")
    waiting = live.front_ends.server.eio.sockets[sid].queue._getters
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(requests.get, f"{url}&sid={sid}", timeout=20)  # engineio alone would answer after 45 s
        wait_until(lambda: waiting)
        requests.post(f"{url}&sid={sid}", data=goodbye, timeout=10)
        assert poll.result().status_code == 200


def test_the_feed_is_listened_to_while_there_is_a_client(live: Live, connect: Connect) -> None:
    first, last = connect(), connect()
    first.client.disconnect()
    wait_until(lambda: len(live.front_ends._clients) == 1)
    subscribed(last, live)
    last.client.disconnect()
    wait_until(lambda: live.front_ends._poller.listening == 0)


def test_a_client_gets_the_lines_of_its_level_and_above(live: Live, connect: Connect) -> None:
    warned, informed, nothing = connect(), connect(), connect()
    warned.subscribe(loglevel="WARNING")
    informed.subscribe(loglevel="DEBUG")
    subscribed(nothing, live)
    job = job_row("RUNNING")
    JobLog.objects.create(job=job, lines=2, size=9, text=json.dumps([WARNING, INFO]))
    head = "[2026-11-26T20:00:00.00000"
    expected = [f"{head}1] WARNING in site job #{job.pk}: sw1: slow", f"{head}2] INFO in site job #{job.pk}: fine"]
    wait_until(lambda: len(informed.lines()) == 2 and warned.lines())
    assert informed.lines() == expected
    assert warned.lines() == expected[:1]
    assert nothing.lines() == []


@pytest.mark.devices
def test_a_client_hears_which_devices_a_live_sync_changed(live: Live, connect: Connect) -> None:
    client, other = connect(), connect()
    client.subscribe(sync="all")
    subscribed(client, live)
    subscribed(other, live)

    devices = {"sw1": report("+ vlan 7"), "sw2": report(""), "sw3": report("+ vlan 7", failed=True)}
    task = {"task_name": "devices.tasks.sync_devices", "scheduled_by": "ann"}
    result = json.dumps({"devices": devices})
    dry = job_row("RUNNING", start_arguments='{"dry_run": true}', **task)
    wet = job_row("RUNNING", start_arguments='{"dry_run": false}', **task)
    with transaction.atomic():
        running = job_row("RUNNING", start_arguments='{"dry_run": false}', **task)
        JobOutcome.objects.create(job=running, result=result)  # what there is so far is no sync that is over
    wait_until(lambda: client.updates(running))
    for job in (dry, wet):
        JobOutcome.objects.create(job=job, result=result)
        finish(job)
    said = {
        "syncevent_hostname": "sw1",
        "syncevent_data": {"cause": "sync_devices", "by": "ann", "job_id": wet.pk},
    }
    wait_until(lambda: said in client.got, message=lambda: str(client.got))
    wait_until(lambda: [each for each in other.updates(wet) if each["status"] == "FINISHED"])
    for listener, told in ((client, [said]), (other, [])):
        assert listener.syncs() == told


def report(diff: str, *, failed: bool = False) -> dict[str, Any]:
    return {"failed": failed, "job_tasks": [{"task_name": "Sync device config", "diff": diff, "failed": failed}]}


def finish(job: Job) -> None:
    from cnaasjobs.db.clock import database_now
    from jobs.guarded_status import made_up_states

    with made_up_states():
        Job.objects.filter(pk=job.pk).update(status="FINISHED", run_token=None, finish_time=database_now())


def test_at_subscribing_what_happened_just_now_is_told(live: Live, connect: Connect) -> None:
    job_row("FINISHED")  # a year ago
    now = job_in(Status.FINISHED)
    client = connect()
    client.subscribe(update="job")
    wait_until(client.updates)
    assert {update["job_id"] for update in client.updates()} == {now.pk}


def test_after_more_changes_at_once_than_the_feed_tells_a_client_still_hears_of_new_ones(
    live: Live, connect: Connect
) -> None:
    client = subscribed(connect(), live)
    job_rows(1001)
    now = job_in(Status.FINISHED)
    wait_until(lambda: now.pk in [update["job_id"] for update in client.updates()])


def test_a_client_that_subscribes_again_and_again_is_told_once(live: Live, connect: Connect, monkeypatch: Any) -> None:
    """What happened just now is two queries."""
    asked: list[int] = []

    def jobs() -> list[Any]:
        asked.append(1)
        return []

    monkeypatch.setattr(recent, "jobs", jobs)
    client = connect()
    for _ in range(50):
        client.subscribe(update="job")
    client.subscribe(loglevel="DEBUG")
    wait_until(lambda: next(iter(live.front_ends._clients.values())).wants_line("DEBUG"))  # the last was read
    wait_until(lambda: asked)
    stays(lambda: len(asked) == 1, seconds=0.7)


# --- one client -------------------------------------------------------------------------------------------------------


def updates(*ids: int, status: str = "FINISHED") -> dict[int, dict[str, Any]]:
    return {number: {"job_id": number, "status": status} for number in ids}


def client(*kinds: Kind) -> Connection:
    return Connection({}, None, frozenset(kinds or Kind))


def test_a_look_has_at_most_20_updates_and_none_is_lost() -> None:
    one = client()
    one.subscribe({"update": "job"})
    one.add(updates(*range(50), status="RUNNING"))
    assert len(one.next_updates()) == JOBS_A_LOOK
    one.add(updates(*range(50)))
    rest = []
    while one.is_behind:
        rest += one.next_updates()
    assert rest == list(updates(*range(50)).values())


def test_what_it_was_to_be_told_goes_with_its_permission() -> None:
    one = client()
    one.subscribe({"update": "job"})
    one.add(updates(1))
    one.kinds = frozenset({Kind.LOCK})
    assert one.next_updates() == []
    one.kinds = frozenset(Kind)
    assert one.next_updates() == []


def test_a_client_with_too_many_updates_pending_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_PENDING", 3)
    one = client()
    one.subscribe({"update": "job"})
    assert one.add(updates(1, 2, 3))
    assert not one.add(updates(4))


@pytest.mark.parametrize(
    ("wish", "understood"),
    [
        ({"update": "job"}, True),
        ({"update": "device"}, True),
        ({"loglevel": "debug"}, True),
        ({"sync": "all"}, True),
        ({"loglevel": "loud"}, False),
        ({"loglevel": 7}, False),
        ({}, False),
    ],
)
def test_a_subscription_is_understood_in_each_form_that_front_ends_use(wish: dict[str, Any], understood: bool) -> None:
    assert client().subscribe(wish) is understood


def test_nobody_subscribes_to_what_they_may_not_see() -> None:
    one = client(Kind.LOCK)
    for wish in ({"update": "job"}, {"loglevel": "DEBUG"}, {"sync": "all"}):
        one.subscribe(wish)
    one.add(updates(1))
    assert not one.is_behind
    assert not one.wants_line("CRITICAL")
    assert not one.wants_syncs


def test_an_update_names_the_next_job() -> None:
    job = {"id": 1, "status": "FINISHED", "next_job_id": 2}
    assert update_of(job) == {"job_id": 1, "status": "FINISHED", "next_job_id": 2}
    assert update_of({**job, "status": "SCHEDULED"}) is None


def test_a_line_that_names_its_device_does_so_once() -> None:
    line = {"time": "t", "level": "INFO", "module": "m", "device": "sw1", "text": "sw1 is slow"}
    told = Told(Kind.LOG, 5, {"job_id": 5, "lines": [line]})
    assert list(lines_of(told)) == [("INFO", "[t] INFO in m job #5: sw1 is slow")]
