"""The supervisor's one thread is interrupted by a signal wherever it is, and goes on; it reaps the orphans it inherits,
starts again what ends, and leaves nothing behind.
"""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cnaasjobs.run import exec_child
from cnaasjobs.run.caller import Callers
from tests.services.processes import ROOT

# Before each bytecode of the call, and of all that it calls, a signal comes, and its handler runs there.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import cnaasjobs.run.__main__, cnaasjobs.run.splitter
from cnaasjobs.run.supervisor import Supervisor

def interrupt(frame, event, argument):
    frame.f_trace_opcodes = True
    os.kill(os.getpid(), signal.{signal})
    return interrupt

supervisor = Supervisor(cwd=Path("."), say=print)
sys.settrace(interrupt)
supervisor.keep_running(0.01)
supervisor.stopping.is_set()
sys.settrace(None)
print(supervisor.stopping.is_set())
print({"celery", "django.db"} & {*sys.modules})  # which they need not, and would wait for
"""

# As under nohup, and as it is else.
HANGS_UP = """
import os, signal
from pathlib import Path
from cnaasjobs.run.supervisor import Program, Supervisor

signal.signal(signal.SIGHUP, signal.{handler})
supervisor = Supervisor(cwd=Path("."), say=print)
os.kill(os.getpid(), signal.SIGHUP)
print(supervisor.stopping.is_set())
program = Program("one", ["grep", "^SigIgn", "/proc/self/status"], Path("{log}"), os.environ)
supervisor.add(program)
program.process.wait()
"""

# A process of its own that ends, and one that it inherits when a child ends.
LEFT_BEHIND = """
import subprocess
from pathlib import Path
import psutil
from cnaasjobs.run.supervisor import Program, Supervisor
from tests.waiting import wait_until

said = []
supervisor = Supervisor(cwd=Path("."), say=said.append)
one = Program("one", ["sh", "-c", "exit 3"], Path("/dev/null"), {"PATH": "/usr/bin:/bin"})
supervisor.add(one)
wait_until(lambda: psutil.Process(one.process.pid).status() == psutil.STATUS_ZOMBIE, timeout=60)
supervisor._reap_orphans()  # as if it had ended after the supervisor's look at it
subprocess.run(["sh", "-c", "sleep 0.2 &"])

def none_is_left():
    supervisor.keep_running(0.02)
    return said and psutil.Process().children() == []

wait_until(none_is_left, timeout=60)
print(said[0])
"""

KEEPS = """
import math, os, signal, subprocess
from pathlib import Path
import psutil
from cnaasjobs.run import supervisor as module
from cnaasjobs.run.supervisor import STEADY_SECONDS, Program, Supervisor
from tests.waiting import wait_until

said = []
supervisor = Supervisor(cwd=Path("."), say=said.append)

def program(script, name="one", **options):
    one = Program(name, ["sh", "-c", script], Path("/dev/null"), {"PATH": "/usr/bin:/bin"}, **options)
    supervisor.add(one)
    return one

def until(condition):
    def is_so():
        supervisor.keep_running(0.01)
        return condition()
    wait_until(is_so, timeout=60)
"""

PAUSES = """
one = program("exec sleep 60")
for number in range(10):
    if number == 8:
        one.started -= STEADY_SECONDS
    one.process.kill()
    until(lambda: len(said) > number)
    one.due = math.inf
    supervisor.keep_running(0)
    assert (one.process is None) != ("again now" in said[-1])
    one.due = 0
    supervisor.keep_running(0)
print([line.split(" (")[0].rpartition("again ")[2] for line in said])
supervisor.stop()
"""

IS_TOLD_TO_END = """
one = program("exit 3")
until(lambda: said)
one.due = 0
os.kill(os.getpid(), signal.SIGTERM)
supervisor.keep_running(0.01)
print(one.process)
"""

LEAVES_ITS_GROUP = """
one = program("sleep 1000 & kill -9 $$")
until(lambda: said and not psutil.Process().children())
print(said[0])
"""

ENDS = """
ours = Path("{directory}")
ends = f"trap 'sleep 0.3; echo %s >> {ours}/order; exit' TERM; touch {ours}/%s; while :; do sleep 0.1; done"
alone = f"setsid sh -c 'echo $$ > {ours}/%s; exec sleep 1000' > /dev/null 2>&1 & "
program(ends.replace("%s", "needed"), is_foundation=True)
program(alone.replace("%s", "left") + ends.replace("%s", "needs"))
subprocess.run(["sh", "-c", alone.replace("%s", "orphan")])
wrote = lambda name: (ours / name).exists() and (ours / name).read_text()
until(lambda: wrote("left") and wrote("orphan") and len([*ours.iterdir()]) == 4)
supervisor.stop()
print((ours / "order").read_text().split())
print([*filter(psutil.pid_exists, map(int, [wrote("left"), wrote("orphan")]))])
"""

DOES_NOT_END = """
module.PATIENCE_SECONDS = 0
here = Path("{directory}")
works, until_told = f"while :; do echo works >> {here}/log; sleep 0.1; done", "while :; do sleep 0.1; done"
ends = f"trap 'echo ends >> {here}/log; sleep 0.5; exit' TERM; touch {here}/needed; "
program(ends + until_told, "needed", is_foundation=True)
program(f"trap '' TERM; touch {here}/deaf; {works}", "deaf", grace_seconds=1)
until(lambda: (here / "needed").exists() and (here / "deaf").exists())
supervisor.stop()
print([line.partition(" to finish; Ctrl-C again stops everything at once")[0] for line in said])
print((here / "log").read_text().split()[-1], psutil.Process().children(recursive=True))
"""


def output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("number", "stops"), [("SIGCHLD", False), ("SIGTERM", True)])
def test_no_signal_can_come_at_a_moment_that_it_would_stop_for_good(number: str, stops: bool) -> None:
    """A lock that both the handler and what it interrupted take would do that."""
    assert output(PROGRAM.replace("{signal}", number)) == f"{stops}\nset()\n"


@pytest.mark.parametrize(("handler", "stops"), [("SIG_IGN", False), ("SIG_DFL", True)])
def test_under_nohup_it_goes_on_when_the_terminal_is_closed(tmp_path: Path, handler: str, stops: bool) -> None:
    """And its programs, which no terminal reaches, hear that signal from whoever sends it."""
    log = tmp_path / "log"
    assert output(HANGS_UP.replace("{handler}", handler).replace("{log}", str(log))) == f"{stops}\n"
    assert int(log.read_text().split()[1], 16) & 1 << (signal.SIGHUP - 1) == 0


def test_it_reaps_inherited_orphans_and_reports_how_its_own_children_ended() -> None:
    assert output(LEFT_BEHIND).startswith("one exited with code 3, ")


def test_what_ends_again_and_again_is_started_after_longer_pauses_and_what_ran_long_at_once() -> None:
    pauses = ["in 0.5 s", "in 1 s", "in 2 s", "in 4 s", "in 8 s", "in 16 s", "in 30 s", "in 30 s", "now", "in 0.5 s"]
    assert output(KEEPS + PAUSES) == f"{pauses}\n"


def test_nothing_is_started_again_once_it_is_told_to_end() -> None:
    assert output(KEEPS + IS_TOLD_TO_END) == "None\n"


def test_what_a_killed_program_leaves_in_its_group_goes_with_it() -> None:
    assert output(KEEPS + LEAVES_ITS_GROUP).startswith("one was killed by signal 9, starting it again in 0.5 s ")


def test_at_the_end_what_others_need_goes_last_and_nothing_stays(tmp_path: Path) -> None:
    """Nor what has left its group and its session, or whose parent is gone."""
    assert output(KEEPS + ENDS.replace("{directory}", str(tmp_path))) == "['needs', 'needed']\n[]\n"


def test_what_does_not_end_is_told_of_once_and_killed_before_what_it_needs_ends(tmp_path: Path) -> None:
    said = ["Waiting for deaf", "Waiting for needed"]
    assert output(KEEPS + DOES_NOT_END.replace("{directory}", str(tmp_path))) == f"{said}\nends []\n"


def test_what_begins_when_its_parent_has_ended_ends() -> None:
    """The kernel would not end it, as it does with those whose parent ends later."""
    command = [sys.executable, "-I", "-S", exec_child.__file__, "--parent", "1", "--", "echo", "began"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "its parent ended before it began\n")


def test_a_shell_that_ends_while_it_is_looked_at_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that started us in the background: it is among our parents, and then has no name any more."""
    with subprocess.Popen(["true"]) as shell:
        gone = psutil.Process(shell.pid)
    monkeypatch.setattr(psutil.Process, "parents", lambda self: [gone])
    assert not Callers().want_the_end()
