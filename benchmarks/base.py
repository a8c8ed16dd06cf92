"""The product of another commit beside this one, in the same run: ``make bench ROW=execute BASE=374eb4f``.

Its source is laid out in the cache, with this tree's jobs and driver (they use nothing but what people who write jobs
do). It runs in this tree's environment, on the same services, on a database of its own that its own migrations made.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Better, Line, Spread

ROOT = Path(__file__).resolve().parent.parent
TARGET = 0.98  # as a fraction of the other's rate; the inverse if less is better

_OURS = ("benchmarks/bodies.py", "benchmarks/driver.py", "benchmarks/settings.py")


@dataclass(frozen=True, kw_only=True)
class Base:
    commit: str
    root: Path
    database: str

    def line(self, what: str, unit: str, *, ours: Spread, base: Spread, better: Better) -> Line:
        target = TARGET if better == "higher" else round(1 / TARGET, 2)
        against = f"commit {self.commit}"
        return Line(what=what, unit=unit, ours=ours, baseline=base, against=against, better=better, target=target)


def lay_out(revision: str, cache: Path) -> Base:
    """The source of a revision that git knows in this repository.

    Raises:
        SystemExit: there is no such revision.
    """
    found = _git("rev-parse", "--verify", "--quiet", "--short", f"{revision}^{{commit}}", check=False)
    commit = found.decode().strip()
    if not commit:
        sys.exit(f"BASE={revision}: git knows no such commit here")
    root = cache / f"base-{commit}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", root], input=_git("archive", commit), check=True)
    for name in _OURS:
        shutil.copyfile(ROOT / name, root / name)
    return Base(commit=commit, root=root, database=f"base_{commit}")


def _git(*arguments: str, check: bool = True) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=check).stdout
