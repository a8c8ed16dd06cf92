"""The supervisor's one thread is interrupted by a signal wherever it is, and goes on; it buries whom it inherits."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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


def output(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
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


def test_whom_it_inherits_it_buries_and_of_its_own_it_says_how_they_ended() -> None:
    assert output(LEFT_BEHIND).startswith("one ended with exit code 3, ")
