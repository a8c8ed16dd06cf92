"""``manage.py jobs`` and ``manage.py locks``: what their rows say; no text in them can control the terminal."""

import json
import re
from datetime import timedelta

import pytest

from cnaasjobs.db.clock import database_now
from cnaasjobs.plain_text import clean
from tests.cli.shell import Terminal, run
from tests.factory import NOON, device_row, hold_lock, job_row

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_somebody_wrote_does_not_reach_the_terminal_as_a_command() -> None:
    job = job_row(comment="\x1b]0;owned\x07 night", scheduled_by="[red]ann[/red]")
    shown = run("jobs", "show", job.pk, stream=Terminal())
    assert "\x1b]0" not in shown
    assert "\x07" not in shown
    assert "[red]ann[/red]" in shown
    assert clean("a\x1b[2Jb\nc\x9bd") == "a\N{REPLACEMENT CHARACTER}[2Jb c\N{REPLACEMENT CHARACTER}d"
    assert clean("3 \u202edeliaf 0") == "3 \N{REPLACEMENT CHARACTER}deliaf 0"  # "0 failed", turned round


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_of_a_job_does(terminal: bool) -> None:
    bad = "\x1b]0;owned\x07"
    texts = {each: f"{each[:3]}{bad}" for each in ("function_name", "scheduled_by", "comment", "ticket_ref")}
    locked = {"lock_name": f"L{bad}", "queue": f"Q{bad}", "task_name": f"task.{bad}"}
    running = job_row("RUNNING", **texts, **locked, worker=f"W{bad}", abort_reason=f"stop{bad}")
    hold_lock(f"L{bad}", running)
    device_row(running, f"host{bad}", reason=f"no{bad}", worker=f"W{bad}", step=f"step{bad}")
    waiting = job_row("SCHEDULED", **texts, **locked, parked=True)
    told = json.dumps({"type": f"E{bad}", "message": f"broke{bad}\nin line 2", "args": [], "traceback": ""})
    ended = job_row("EXCEPTION", **texts, exception_type=f"E{bad}", exception=told)
    for arguments in (
        ("jobs", "list"),
        *(("jobs", "show", job.pk) for job in (running, waiting, ended)),
        ("jobs", "watch", ended.pk),
        ("locks", "list"),
    ):
        shown = run(*arguments, stream=Terminal() if terminal else None)
        assert "]0;owned" in shown, arguments
        assert "\x1b]" not in shown, arguments
        assert "\x07" not in shown, arguments
    shown = run("jobs", "show", ended.pk, stream=Terminal() if terminal else None)
    assert any(line.endswith("    in line 2") for line in re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines())


def test_a_row_says_that_a_job_that_runs_was_told_to_stop_and_in_how_long_one_is_due() -> None:
    told, later = {"abort_reason": "wrong site"}, database_now() + timedelta(hours=3, seconds=30)
    rows = {
        job_row("RUNNING", **told).pk: "RUNNING told to stop",
        job_row("SCHEDULED", scheduled_time=later).pk: "in 3 h 00 min",
        job_row("SCHEDULED").pk: "SCHEDULED",
        job_row("EXCEPTION", **told, exception_type="JobAborted").pk: "EXCEPTION JobAborted",
        job_row("FINISHED", **told).pk: "FINISHED",  # before it could be
        job_row("EXCEPTION", scheduled_time=later, start_time=None, finish_time=NOON).pk: "EXCEPTION ValueError",
    }
    shown = {int(line.split()[0]): " ".join(line.split()) for line in run("jobs", "list").splitlines()[1:]}
    for job_id, says in rows.items():
        assert says in shown[job_id]
        assert ("told to stop" in shown[job_id]) == ("told to stop" in says)
        assert bool(re.search(" in \N{MINUS SIGN}?[0-9]", shown[job_id])) == (" in 3 h" in f" {says}")


def test_a_long_comment_leaves_room_in_a_row() -> None:
    job_row(comment="x" * 200)
    assert "x" * 60 in (shown := run("jobs", "list"))
    assert "x" * 61 not in shown


def test_a_job_shows_a_score_of_zero_and_the_beginning_of_its_arguments() -> None:
    job = job_row(change_score=0, start_arguments=json.dumps({"text": "x" * 2000}))
    assert run("jobs", "show", job.pk, stream=Terminal()).count("x") > 900  # folded, not cut off
    shown = run("jobs", "show", job.pk)
    assert re.search("^score +0$", shown, re.MULTILINE)
    assert "x" * 900 in (arguments := "".join(shown.split()))
    assert "x" * 1001 not in arguments
