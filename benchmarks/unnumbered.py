"""Settings for a database whose changes have no numbers; the difference is what the change feed costs."""

from cnaasjobs.db import changes

changes.WITH_NUMBER = "change = 0"  # type: ignore[misc]  # before the stores put it into their statements

from benchmarks.settings import *  # noqa: E402,F403
