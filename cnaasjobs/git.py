"""Which commit of a git repository a directory is at, in one line.

git itself is asked, without our environment, and only by commands that run no code from the repository.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

NO_REPOSITORY: Final = "Not a git repository"
_SECONDS: Final = 5.0
_SAFE: Final = ("--no-pager", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false")


def commit_of(directory: Path) -> str:
    """``Commit <40 hex> <branch> by <name> at <date>``, or that it is not in a repository."""
    shown = _git(directory, "log", "-1", "--no-show-signature", "--no-mailmap", "--format=%H%n%cn%n%ci", "HEAD")
    if shown is None or len(lines := shown.splitlines()) != 3:
        return NO_REPOSITORY
    commit, name, date = lines
    branch = _git(directory, "symbolic-ref", "--short", "--quiet", "HEAD")
    return f"Commit {commit} {branch.strip() if branch else 'detached'} by {name} at {date}"


def _git(directory: Path, *arguments: str) -> str | None:
    """git's output; None if git is not installed, or this is not a repository, or the repository has no commit."""
    environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *_SAFE, "-C", str(directory), *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")
