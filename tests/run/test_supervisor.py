"""The supervisor's one thread is interrupted by a signal wherever it is, and goes on."""

import subprocess
import sys

import pytest

from tests.services.processes import ROOT

# Before each bytecode of the call, and of all that it calls, a signal comes, and its handler runs there.
PROGRAM = """
import os, signal, sys
from pathlib import Path
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
"""


@pytest.mark.parametrize(("signal", "stops"), [("SIGCHLD", False), ("SIGTERM", True)])
def test_no_signal_can_come_at_a_moment_that_it_would_stop_for_good(signal: str, stops: bool) -> None:
    """A lock that both the handler and what it interrupted take would do that."""
    program = PROGRAM.format(signal=signal)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{stops}\n"
