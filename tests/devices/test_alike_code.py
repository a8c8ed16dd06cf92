"""Which version of the code a process runs: the one that it has loaded, even if its files have been replaced since."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.services.processes import ROOT

_SCRIPT = """
import sys
from pathlib import Path
import django
django.setup()
from celery.signals import worker_init
from devices import tasks
from cnaasjobs.secrecy import Secrets
from jobs.fleet.assignment import source_of
assert Path(tasks.__file__).is_relative_to(Path.cwd())
worker_init.send(None)  # as a worker begins
for name in ("tasks.py", "sync/campaign.py"):
    with (Path("devices") / name).open("a") as file:
        file.write(sys.argv[1])
from devices.sync.alike import alike
print(alike(Secrets.from_environment()))
print(source_of(tasks.sync_devices.run))
"""


def test_a_worker_whose_files_an_upgrade_replaced_is_still_of_the_old_version(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "devices", tmp_path / "devices", ignore=shutil.ignore_patterns("__pycache__"))
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    def worker(writes: str = "") -> list[str]:
        argv = [sys.executable, "-c", _SCRIPT, writes]
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    before = worker()
    assert worker("# another version\n") == before
    after = worker()
    assert len(before) == 2
    assert not set(before) & set(after)
