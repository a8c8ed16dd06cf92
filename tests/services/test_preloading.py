"""A program forked from the preloading process behaves as it does in a new interpreter, and ends in the same way."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.services import preloading
from tests.services.managed import Managed
from tests.services.processes import ROOT
from tests.settings import STARTED_BY_TESTS
from tests.waiting import wait_until

TELLS = """
import atexit, json, os, signal, sys
from pathlib import Path
import ctypes  # its library may keep a file
import pyeapi.utils  # keeps a socket

def is_open(number):
    try:
        return bool(os.fstat(number))
    except OSError:
        return False

ours = {"cnaasjobs", "jobs", "locks", "devices", "console", "tests"}
print(json.dumps({
    "argv": sys.argv, "all of it": sys.orig_argv[1:], "path": sys.path, "name": __name__, "file": __file__,
    "cwd": str(Path.cwd()), "environment": dict(os.environ), "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "signals": [str(signal.getsignal(n)).partition(" at ")[0] for n in sorted(signal.valid_signals())],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "input": os.read(0, 1).decode(),
    "files": [os.readlink(f"/proc/self/fd/{n}").partition(":")[0] for n in range(3, 99) if is_open(n)],
    "main": sys.modules["__main__"].__name__, "write through": sys.stdout.write_through,
    "of the project": sorted(ours & {name.partition(".")[0] for name in sys.modules}),
}))
sys.stderr.write("said\\n")
atexit.register(print, "the end")
"""


@pytest.fixture
def env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "/nowhere:/elsewhere", "PYTHONUNBUFFERED": "1", "ONE": "1"}


def run(tmp_path: Path, source: str, env: dict[str, str], *, preloaded: bool = True) -> Managed:
    program = tmp_path / "program.py"
    program.write_text(source)
    log = tmp_path / f"{preloaded}.log"
    argv = [sys.executable, str(program), "--one", "two"]
    assert preloading.can_run(argv, env)
    return Managed("program", argv, log=log, env=env, cwd=tmp_path, preloaded=preloaded)


def test_it_finds_what_it_finds_in_a_new_interpreter(tmp_path: Path, env: dict[str, str]) -> None:
    told = {}
    for preloaded in (False, True):
        process = run(tmp_path, TELLS, env, preloaded=preloaded)
        assert process.wait() == 0
        first, *rest = process.output().splitlines()
        told[preloaded] = {**json.loads(first), "rest": rest}

    assert told[True] == told[False]
    assert told[True]["rest"] == ["said", "the end"]
    assert told[True]["of the project"] == []


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit('why')", 1),
        ("1 / 0", 1),
        ("pass", 0),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), 9)", -9),
        ("os.kill(os.getpid(), 15)", -15),
        ("import threading\nthreading.Timer(0.1, print, ['the last']).start()", 0),
        ("sys.stdout = open(1, 'w', closefd=False)\nprint('unwritten')\nos.close(1)", 120),
    ],
)
def test_it_ends_as_in_a_new_interpreter(tmp_path: Path, env: dict[str, str], last: str, code: int) -> None:
    ended = [run(tmp_path, f"import os, sys\n{last}", env, preloaded=preloaded) for preloaded in (False, True)]

    assert [process.wait() for process in ended] == [code, code]
    assert not any(process.running or process.tree() for process in ended)
    assert ended[0].output().splitlines()[-1:] == ended[1].output().splitlines()[-1:]


def test_signals_reach_it(tmp_path: Path, env: dict[str, str]) -> None:
    process = run(tmp_path, "import signal\nprint('here')\nsignal.pause()", env)
    process.wait_for_output("here")

    assert [one.pid for one in process.tree()] == [process.pid]
    process.freeze()
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    process.thaw()
    process.signal(signal.SIGINT)
    assert process.wait() != 0
    assert "KeyboardInterrupt" in process.output()


def test_it_ends_with_the_process_that_asked_for_it(tmp_path: Path, env: dict[str, str]) -> None:
    waits = "import os, signal\nprint('here', os.getpid(), flush=True)\nsignal.pause()"
    asks = f"""
import os, pathlib, signal
from tests.services.test_preloading import run
process = run(pathlib.Path({str(tmp_path)!r}), {waits!r}, dict(os.environ))
process.wait_for_output("here")
os.kill(os.getpid(), signal.SIGKILL)
"""
    who = tmp_path / "who"
    who.mkdir()
    asker = run(who, asks, {**env, "PYTHONPATH": str(ROOT)}, preloaded=False)

    assert asker.wait(timeout=120) == -signal.SIGKILL
    pid = int((tmp_path / "True.log").read_text().split()[1])
    wait_until(lambda: not psutil.pid_exists(pid), timeout=30)


@pytest.mark.parametrize(
    ("argv", "more"),
    [
        (["nginx"], {}),
        ([sys.executable, "-W", "error", "-m", "x"], {}),
        ([sys.executable, "-m", "x"], {"LD_PRELOAD": "libfaketime.so.1"}),
        ([sys.executable, "-m", "x"], {"PYTHONWARNINGS": "always"}),
    ],
)
def test_what_would_differ_begins_anew(env: dict[str, str], argv: list[str], more: dict[str, str]) -> None:
    assert preloading.can_run([sys.executable, "-m", "x"], env)
    assert not preloading.can_run(argv, env | more)


SHOWS = """
import sys
print("jobs.models" in sys.modules, flush=True)

import os
import pprint  # in one order
import django
from django.conf import settings
from django.db import connection

before = sorted(name for name in vars(settings) if name.isupper())
django.setup()
import cnaasjobs.celery
from celery import current_app
print(before, connection.settings_dict["NAME"], connection.vendor, current_app.conf.broker_url, sorted(os.environ))
pprint.pprint({name: value for name, value in vars(settings._wrapped).items() if name.isupper()})
"""
ADDRESSES = {
    "DATABASE_URL": "sqlite:///{}/one.sqlite3",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/1",
    "CNAASJOBS_STATE_DIR": "{}",
}
OTHERS = {
    "DATABASE_URL": "sqlite:///{}/two.sqlite3",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/2",
    "CNAASJOBS_STATE_DIR": "{}/two",
    "CNAASJOBS_HEARTBEAT_SECONDS": "3",
    "PYTHONPATH": f"{ROOT}:{{}}/more",
}


def told(place: Path, more: Mapping[str, str], *, preloaded: bool) -> list[str]:
    """How a program of the project ended there, and what it printed."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", STARTED_BY_TESTS: "1", "SECRET_KEY": "k" * 50}
    env |= {name: value.format(place) for name, value in {**ADDRESSES, "PYTHONPATH": str(ROOT), **more}.items()}
    program, log = place / "program.py", place / f"{len(list(place.iterdir()))}.log"
    program.write_text(SHOWS)
    process = Managed("program", [sys.executable, str(program)], log=log, env=env, cwd=ROOT, preloaded=preloaded)
    return [str(process.wait()), *process.output().splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one has begun for which the project was loaded."""
    directory = tmp_path_factory.mktemp("project")
    for name in ("more/napalm_other.py", "others/whitenoise.py"):
        (directory / name).parent.mkdir()
        (directory / name).touch()
    told(directory, {}, preloaded=True)
    return directory


@pytest.mark.parametrize(
    ("more", "loaded"),
    [
        (OTHERS, True),
        ({"DATABASE_URL": "postgres://one@127.0.0.1/one"}, True),
        ({"CNAASJOBS_DEVICE_SECONDS": "7"}, False),  # read while the tasks are loaded
        ({"CNAASJOBS_APPS": "tests.house"}, False),
        ({"CNAASJOBS_DEV": "0"}, False),
        ({"CNAASJOBS_HEARTBEAT_SECONDS": "often"}, False),
        ({"PYTHONPATH": f"{ROOT}:{{}}/others"}, False),  # a module that hides one of those that were loaded
    ],
)
def test_the_project_is_loaded_before_where_that_makes_no_difference(
    place: Path, more: dict[str, str], loaded: bool
) -> None:
    code, was_loaded, *shown = told(place, more, preloaded=True)
    code_anew, _, *shown_anew = told(place, more, preloaded=False)
    assert (code, shown) == (code_anew, shown_anew)
    assert was_loaded == str(loaded)


def test_where_the_first_has_wrong_settings_each_begins_anew(tmp_path: Path, env: dict[str, str]) -> None:
    of_its_own = {"DATABASE_URL": "postgresql://nobody@127.0.0.1/none", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint('jobs.models' in sys.modules)\nimport django\ndjango.setup()")
    codes = []
    for number, seconds in enumerate(("often", "1")):
        wrong = env | of_its_own | {STARTED_BY_TESTS: "1", "CNAASJOBS_HEARTBEAT_SECONDS": seconds}
        wrong["PYTHONPATH"] = str(ROOT)
        log = tmp_path / f"{number}.log"
        process = Managed("program", [sys.executable, str(program)], log=log, env=wrong, cwd=ROOT, preloaded=True)
        codes.append(process.wait())
        assert process.output().startswith("False\n")

    assert codes == [1, 0]
