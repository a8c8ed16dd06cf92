"""Runs one of our programs to its end, as a fork of a process that has imported what it needs."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.services import preloading
from tests.services.managed import Managed
from tests.services.processes import ROOT

SECONDS = 60.0


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run_program(*arguments: str, env: Mapping[str, str]) -> Done:
    """``python arguments…`` in the project's directory, with this environment and what the interpreter itself reads."""
    argv = [sys.executable, *arguments]
    env = {**preloading.read_at_the_start(os.environ), **env}
    with TemporaryDirectory(prefix="cnaasjobs-program-") as name:
        output, errors = Path(name) / "output", Path(name) / "errors"
        process = Managed(arguments[0], argv, log=output, errors=errors, env=env, cwd=ROOT, preloaded=True)
        try:
            return Done(process.wait(timeout=SECONDS), output.read_text(), errors.read_text())
        finally:
            process.kill_tree()
