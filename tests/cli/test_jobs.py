"""``manage.py jobs`` and ``manage.py locks``: what they show, and how they end."""

import io
import json
import re
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import connections

from cnaasjobs.db.clock import database_now
from cnaasjobs.terminal import console_on
from jobs.cli import follow, tables
from jobs.dispatch import scheduling
from jobs.models import Job, JobLog
from jobs.states import Status
from tests import fake_jobs
from tests.cli.shell import Terminal, ends_with, run
from tests.factory import NOON, device_row, hold_lock, job_in, job_row
from tests.factory.held import HELD, held_by

NOW = "2026-11-24T13:06:03.319761"
pytestmark = pytest.mark.django_db(transaction=True)


# --- looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", HELD)
def test_list_and_show_say_all_that_holds_a_job(what: str) -> None:
    held = held_by(what)
    for shown in (run("jobs", "list"), run("jobs", "show", held.job.pk)):
        words = " ".join(shown.split())
        for said in held.says:
            assert " ".join(said.split()) in words


def test_the_list_takes_the_search_and_its_rows_say_what_became_of_them() -> None:
    failed = job_row("EXCEPTION", scheduled_by="ann", exception_type="WorkerLost", ticket_ref="NOC-1", comment="night")
    device_row(failed, "a1")
    device_row(failed, "a2", reason="no route")
    job_row(scheduled_by="eve")
    (row,) = run("jobs", "list", "by:ann", "status:exception").splitlines()[1:]
    for part in (str(failed.pk), "EXCEPTION WorkerLost", "sync_devices", "2/2 1 failed", "ann", "NOC-1 night", "1.0 s"):
        assert part in row


def test_a_search_that_cannot_be_understood_is_reported() -> None:
    with pytest.raises(CommandError, match="there is no devices:, only status:"):
        run("jobs", "list", "devices:a")
    assert ends_with("jobs", "list", "devices:a") == 2


def test_the_list_says_how_to_see_older_jobs() -> None:
    jobs = [job_row() for _ in range(3)]
    assert f"older ones: --before {jobs[1].pk}" in run("jobs", "list", "-n", 2)
    assert str(jobs[0].pk) in run("jobs", "list", "--before", jobs[1].pk).splitlines()[1]
    for number in (0, 1001, "many"):
        with pytest.raises(CommandError, match=f"'{number}' is not a number from 1 to 1000"):
            run("jobs", "list", "-n", number)


def test_json_is_as_in_the_api() -> None:
    job = job_row("EXCEPTION", scheduled_by="ann")
    found = json.loads(run("jobs", "list", "--json"))
    assert [each["id"] for each in found["jobs"]] == [job.pk]
    assert found["jobs"][0]["exception"]["type"] == "ValueError"
    shown = json.loads(run("jobs", "show", job.pk, "--json"))
    assert shown == found["jobs"][0] | {"waiting": []}


def test_a_long_result_is_json_too() -> None:
    job = job_row(result=json.dumps({"text": "x" * 1_000_000}))
    assert len(json.loads(run("jobs", "show", job.pk, "--json"))["result"]["text"]) == 1_000_000


def test_show_has_why_first_then_the_devices_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    job_row("EXCEPTION", exception=json.dumps({"message": "another's", "type": "OSError", "args": []}))
    job = job_row(
        "EXCEPTION", exception=json.dumps({"message": "it broke", "type": "ValueError", "args": ["it broke"]})
    )
    device_row(job, "a1")
    device_row(job, "a2", reason="no route")
    shown = run("jobs", "show", job.pk)
    assert shown.index("ValueError: it broke") < shown.index("no route") < shown.index("a1")
    assert "a1" not in run("jobs", "show", job.pk, "--devices", "failed")
    assert "a2" not in run("jobs", "show", job.pk, "--devices", "none")
    assert "\nresult" not in shown
    for host in ("b3", "b4", "b5"):
        device_row(job, host, reason=f"no answer from {host}\nin 30 s")
    monkeypatch.setattr(tables, "DEVICES_SHOWN", 2)  # those that are not in the table count too
    assert run("jobs", "show", job.pk).splitlines()[-1] == "3 devices: no answer from … in 30 s"


def test_show_has_the_result_unless_its_devices_are_that() -> None:
    assert re.search(r'^result +\["a", 1\]$', run("jobs", "show", job_row(result='["a", 1]').pk), re.MULTILINE)
    of_devices = job_row(result='{"devices": {"a1": {"failed": false}}}')
    assert re.search('^result +{"devices', run("jobs", "show", of_devices.pk), re.MULTILINE)
    device_row(of_devices, "a1")
    assert "\nresult" not in run("jobs", "show", of_devices.pk)


def test_lists_name_the_zone_of_their_times() -> None:
    job = job_row("RUNNING")
    hold_lock("devices", job)
    assert "when (UTC)" in run("jobs", "list")
    assert "since (UTC)" in run("locks", "list")
    assert f"{job.start_time:%H:%M:%S} UTC" in run("jobs", "show", job.pk)


def test_colours_are_for_terminals_only() -> None:
    job = job_row("EXCEPTION")
    assert "\x1b[" not in run("jobs", "show", job.pk)
    assert "\x1b[" in run("jobs", "show", job.pk, stream=Terminal())
    assert "\x1b[" not in run("jobs", "list")


def test_a_terminal_has_no_columns_without_anything_in_them() -> None:
    job_row(comment="night")
    in_pipe, on_terminal = (run("jobs", "list", stream=stream) for stream in (None, Terminal()))
    assert "waits for" in in_pipe  # a script counts on its columns
    assert "night" in on_terminal
    assert "waits" not in on_terminal


def test_a_job_that_never_started_has_the_time_of_its_end() -> None:
    job_row("EXCEPTION", scheduled_time=NOON + timedelta(days=9), start_time=None, finish_time=NOON)
    assert f"{NOON:%Y-%m-%d %H:%M:%S}" in run("jobs", "list")


def test_the_log_of_a_job_is_shown_without_control_characters() -> None:
    job = job_row()
    lines = [[NOW, "INFO", "devices", "a1", "is \x1b[31mdone"], [NOW, "INFO", "devices", "a1", "a1: no change"]]
    JobLog.objects.create(job=job, lines=2, size=20, text=json.dumps(lines))
    shown = run("jobs", "log", job.pk, "--follow")
    assert "INFO devices [a1]: is \N{REPLACEMENT CHARACTER}[31mdone" in shown
    assert "INFO devices: a1: no change\n" in shown
    assert [json.loads(line)["device"] for line in run("jobs", "log", job.pk, "--json").splitlines()] == ["a1", "a1"]


def test_each_lock_is_shown_with_its_holder_and_its_line() -> None:
    held = held_by("those before it in line")
    shown = " ".join(run("locks", "list").split())
    assert "devices" in shown
    assert f"devices {held.job.pk - 3} with_lock" in shown
    assert f" 3 wait: job {held.job.pk - 2}, job {held.job.pk - 1}, job {held.job.pk}" in shown
    assert json.loads(run("locks", "list", "--json"))["locks"][0]["waiting"] == 3


@pytest.mark.parametrize(("only", "said"), [("all", "of 4 devices"), ("failed", "of 3 failed devices")])
def test_of_more_devices_than_fit_it_says_how_many_there_are(
    only: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "DEVICES_SHOWN", 2)
    job = job_row()
    device_row(job, "a1")
    for host in ("a2", "a3", "a4"):
        device_row(job, host, reason="no route")
    shown = run("jobs", "show", job.pk, "--devices", only)
    assert f"the first 2 {said}" in shown
    assert ("a2" in shown, "a3" in shown, "a4" in shown) == (True, True, False)
    monkeypatch.setattr(tables, "DEVICES_SHOWN", 4 if only == "all" else 3)
    assert "the first" not in run("jobs", "show", job.pk, "--devices", only)


# --- waiting ----------------------------------------------------------------------------------------------------------


def _failed_device() -> Job:
    job = job_row()
    device_row(job, "a1", reason="no route")
    return job


def _failed_device_in_the_result() -> Job:
    return job_row(result='{"devices": {"a1": {"failed": true, "job_tasks": []}}}')


def _one_never_begun() -> Job:
    job = job_row()
    device_row(job, "a1", "WAITING")
    return job


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: job_row(), 0),
        (lambda: job_row(result='{"devices": {"a1": {"failed": false, "job_tasks": []}}}'), 0),
        (lambda: job_row(result='"failed"'), 0),
        (lambda: job_row(result='{"devices": {"a1": "failed", "a2": {"failed": "no"}}}'), 0),
        (lambda: job_row("EXCEPTION"), 1),
        (_failed_device, 1),
        (_failed_device_in_the_result, 1),
        (_one_never_begun, 1),
        (lambda: Job(pk=4711), 2),
        (lambda: job_row("RUNNING"), 3),
        (lambda: job_row("SCHEDULED"), 3),
    ],
)
@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_wait_tells_the_shell_how_it_ended(make: Callable[[], Job], code: int, json_too: tuple[str, ...]) -> None:
    _failed_device_in_the_result()  # of other jobs, like one that runs
    _one_never_begun()
    job_row("RUNNING")
    job = make()
    assert ends_with("jobs", "wait", job.pk, "--timeout", 0, *json_too) == code
    assert ends_with("jobs", "wait", job.pk, job.pk, "--timeout", 0, *json_too) == code


def test_wait_waits_until_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    first, second = job_row(), job_in(Status.SCHEDULED)
    told: list[int] = []

    def waits() -> None:
        try:
            told.append(follow.wait([first.pk, second.pk], timeout=60, seen=lambda _: looked.set(), say=print))
        finally:
            connections.close_all()

    looked = threading.Event()
    thread = threading.Thread(target=waits)
    thread.start()
    assert looked.wait(30)
    assert told == []
    run("jobs", "abort", second.pk)
    thread.join(30)
    assert told == [follow.Verdict.FAILED]


def test_bars_on_a_terminal_and_a_line_for_each_change_elsewhere() -> None:
    job = job_row("RUNNING")
    device_row(job, "a1")
    device_row(job, "a2", "WAITING")
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        with follow.shown(console_on(stream)) as seen:
            seen([job])
            seen([job])
    assert plain.getvalue() == f"job {job.pk} sync_devices: RUNNING\n"
    assert "1/2" in terminal.getvalue()


def test_watch_of_ids_ends_with_them() -> None:
    job = job_row()
    assert f"job {job.pk} sync_devices: FINISHED" in run("jobs", "watch", job.pk)
    assert ends_with("jobs", "watch", job.pk, 4711) == 2
    (line,) = run("jobs", "watch", job.pk, "--json").splitlines()
    assert (json.loads(line)["id"], json.loads(line)["status"]) == (job.pk, "FINISHED")
    assert ends_with("jobs", "watch", job.pk, 4711, "--json") == 2


@pytest.mark.parametrize("never", ["nan", "inf", "-1", "soon"])
def test_a_timeout_that_would_never_come_is_refused(never: str) -> None:
    with pytest.raises(CommandError, match=f"'{never}' is not a number of seconds"):
        run("jobs", "wait", job_in(Status.RUNNING).pk, f"--timeout={never}")


def test_one_that_does_not_exist_is_not_waited_for() -> None:
    running = job_in(Status.RUNNING)
    assert ends_with("jobs", "wait", running.pk, 4711) == 2


def test_a_job_for_later_says_in_how_long() -> None:
    scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=3, seconds=30))
    assert "in 3 h 00 min" in run("jobs", "list")
