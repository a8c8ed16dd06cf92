"""Notices that the code in the files is no longer the code that runs: nothing loads it again."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_OURS: Final = ("cnaasjobs", "console", "devices", "jobs", "locks")
_LOADED_ONCE: Final = (".py", ".html")


class Code:
    """That of the project and of these apps, as it is now."""

    def __init__(self, apps: Sequence[str]) -> None:
        found = (find_spec(name) for name in {*_OURS, *(app.partition(".")[0] for app in apps)})
        self._directories = [Path(each) for spec in found if spec for each in spec.submodule_search_locations or ()]
        self._loaded = dict(self._look())

    def changed(self) -> Path | None:
        """A file that was changed or made since."""
        return next((path for path, state in self._look() if self._loaded.get(path) != state), None)

    def _look(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        for directory in self._directories:
            for place, _, names in os.walk(directory):  # as it goes on if a directory was removed meanwhile
                for path in (Path(place, name) for name in names if name.endswith(_LOADED_ONCE)):
                    with suppress(OSError):  # gone
                        stat = path.stat()
                        yield path, (stat.st_mtime_ns, stat.st_size)
