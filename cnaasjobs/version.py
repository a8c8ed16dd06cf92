"""Which version this is."""

from typing import Final

from cnaasjobs.conf.table import ROOT
from cnaasjobs.git import commit_of

VERSION: Final = "0.1.0"  # pyproject.toml has the same


def git_version() -> str:
    return commit_of(ROOT)
