"""Programs start as forks of a process that has loaded the project, and behave as if started by themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnaasjobs.run.__main__ import prepare
from cnaasjobs.run.config import StartError
from cnaasjobs.run.state import StateDirectory
from tests.services.processes import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each program begins by itself")

# As ``make run``: it inherits a program.
PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
from cnaasjobs.run.__main__ import prepare
from cnaasjobs.run.config import Config, child_environment
from cnaasjobs.run.state import StateDirectory
from cnaasjobs.run.supervisor import Program, Supervisor
from tests.waiting import wait_until

signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
config = Config.from_environment(os.environ)
supervisor, state = Supervisor(cwd=Path("."), say=print), StateDirectory(config.state_dir)
env = child_environment(config, secret_key="x" * 50, is_exposed=False) | {"LOCK": str(state.lock)}
argv = [sys.executable, "-m", "tests.run.says_what_it_is", "and more"]
program = Program("one", argv, state.log("one"), env, pass_fds=(state.lock,))
report, begun = prepare(state, env, [program], with_token=False)
supervisor.add(program, begun.get("one"))
wait_until(lambda: not program.is_running, timeout=60)
said = {"fate": program.fate(), "pid": os.getpid(), "shown": " ".join(argv), "admin": report["admin"]["name"]}
print(json.dumps(said))
print(program.log.read_text(), end="")
"""


def test_a_program_begins_as_a_copy_and_is_what_it_would_be_by_itself(scratch: Path, migrated_file: Path) -> None:
    state = scratch / "state"
    state.mkdir(parents=True)
    (state / "db.sqlite3").write_bytes(migrated_file.read_bytes())
    env = {"PATH": "/usr/bin:/bin", "CNAASJOBS_STATE_DIR": str(state)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=env, capture_output=True, text=True, input="typed"
    )
    assert done.returncode == 0, done.stderr
    ours, its = map(json.loads, done.stdout.splitlines())
    assert ours["admin"] == "admin"
    assert ours["fate"] == "exited with code 3"
    assert [*state.glob("db.sqlite3*")] == [state / "db.sqlite3"]  # it has closed its database
    assert its == {
        "loaded": True,
        "argv": ["and more"],
        "shown": ours["shown"],
        "parent": ours["pid"],
        "leads": True,
        "ends_with_parent": True,
        "hears": True,
        "threads": 1,
        "connections": 0,
        "collects": True,
        "lock": str(state / "lock"),
        "input": "",
    }


@pytest.mark.parametrize(
    ("its_end", "said"),
    [("", "no reason given"), ("os.write(2, b'out of \\xe5\\n')", "out of \ufffd")],
)
def test_why_nothing_could_be_prepared_is_reported(tmp_path: Path, its_end: str, said: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import os\n{its_end}\nos._exit(7)\n")
    state = StateDirectory(tmp_path / "state")
    with pytest.raises(StartError) as refusal:
        prepare(state, {"PYTHONPATH": str(tmp_path)}, [], with_token=False)
    os.close(state.lock)
    log = tmp_path / "state" / "log" / "prepare.log"
    assert str(refusal.value) == f"Cannot prepare the database: {said} (details: {log})"
