"""The files below ``CNAASJOBS_TEMPLATES``: ``<platform>/mapping.yml`` and the Jinja2 templates beside it.

What was read is kept. Files are checked for changes when a job starts, so that all devices of a job are rendered with
the same templates. Nothing outside of the directory is read, wherever a name or a link points.
"""

import os
import stat
from pathlib import Path
from typing import Any, Final

from cnaasjobs.conf import conf
from devices.rendering.child import MISSING, REFUSED, SOURCE
from devices.rendering.failures import TemplateFailure
from devices.yaml_files import Unreadable, named, parsed

_LARGEST: Final = 16 << 20  # bytes of one file
_MAPPING: Final = "mapping.yml"
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe has no writer to wait for

_Stamp = tuple[int, int, int] | None  # None: its state can't be read, and reading the file says why


class Platform:
    """The templates of one platform."""

    def __init__(self, root: Path, name: str) -> None:
        self.directory = root / name
        self._root = root
        self._name = name
        self._mapping: dict[Any, Any] | None = None
        self._sources: dict[str, str] = {}
        self._stamps: dict[Path, _Stamp] = {}

    def has_changed(self) -> bool:
        """Whether a file that was read has changed."""
        return any(_stamp(path) != stamp for path, stamp in list(self._stamps.items()))

    def entrypoint(self, type_of_device: str) -> str:
        """The template that a type of device starts from."""
        entry = self.read_mapping().get(type_of_device)
        if not isinstance(entry, dict) or not isinstance(entry.get("entrypoint"), str):
            of = f"device type {named(type_of_device)}" if type_of_device else "a host without device_type"
            raise TemplateFailure(f"{self._name}/{_MAPPING} has no entrypoint for {of}")
        return str(entry["entrypoint"])

    def read_mapping(self) -> dict[Any, Any]:
        """Once. Raises TemplateFailure."""
        if self._mapping is None:
            self._mapping = self._read_mapping()
        return self._mapping

    def source(self, name: str) -> tuple[bytes, str]:
        """A template, or why it is not available, in the form that a renderer needs."""
        found = self._sources.get(name)
        if found is None:
            try:
                found = self._sources[name] = self._read(name)
            except FileNotFoundError:
                return MISSING, f"template {_whole(name)} not found in {self.directory}"
            except (OSError, ValueError) as exc:
                return REFUSED, f"template {_whole(name)} {_why(exc)}"
        return SOURCE, found

    def _read_mapping(self) -> dict[Any, Any]:
        try:
            mapping = parsed(self._read(_MAPPING), self.directory / _MAPPING) or {}
            if isinstance(mapping, dict):
                return mapping
            why = f"{self.directory / _MAPPING} must be a mapping of device types"
        except Unreadable as exc:
            why = str(exc)
        except (OSError, ValueError) as exc:
            path = next((path for path in (self._root, self.directory) if not path.is_dir()), self.directory / _MAPPING)
            why = f"{path} {_why(exc)}"
        raise TemplateFailure(f"no templates for platform {self._name}: {why} (CNAASJOBS_TEMPLATES is {self._root})")

    def _read(self, name: str) -> str:
        """The text of a file of this platform.

        Raises:
            OSError, ValueError: it isn't there, or must not be read.
        """
        if ".." in name.split("/"):
            raise ValueError("must not have '..' in its name")
        path = self.directory / name.lstrip("/")
        real = Path(os.path.realpath(path, strict=True))
        if not real.is_relative_to(os.path.realpath(self._root, strict=True)):
            raise ValueError("is a link out of the templates")
        stamp = _stamp(path)  # taken before reading: a change meanwhile is seen by the next job
        text = _text(real)
        self._stamps[path] = stamp
        return text


def _text(path: Path) -> str:
    with open(path, "rb", opener=lambda name, _: os.open(name, _OPEN)) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("is not a file")
        if about.st_size > _LARGEST:
            raise ValueError(f"is larger than {_LARGEST >> 20} MB")
        content = file.read(_LARGEST)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ValueError(f"is not UTF-8 (at byte {exc.start})") from exc


def _whole(name: str) -> str:
    """The name in full. It may contain a secret of the template, which must be masked before the name is shortened."""
    return named(name, length=len(name) * 10)


def _why(exc: OSError | ValueError) -> str:
    return f"can't be read: {exc.strerror}" if isinstance(exc, OSError) else str(exc)


def _stamp(path: Path) -> _Stamp:
    """Time of change (ns), size (bytes) and number of the file that a path leads to."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


_platforms: dict[tuple[Path, str], Platform] = {}  # by the directory of all templates, and their own names
_generation = 1
_job = 0


def refresh() -> None:
    """A job begins: what has changed since the last one is read again."""
    global _generation, _job
    _job += 1
    changed = [place for place, platform in list(_platforms.items()) if platform.has_changed()]
    if changed:
        _generation += 1
        for place in changed:
            _platforms.pop(place, None)


def platforms() -> list[str]:
    """The platforms that have templates. Raises TemplateFailure."""
    try:
        return sorted(each.name for each in conf.templates.iterdir() if (each / _MAPPING).exists())
    except OSError as exc:
        raise TemplateFailure(f"{conf.templates} {_why(exc)} (CNAASJOBS_TEMPLATES)") from exc


def forget() -> None:
    """All of them are read again."""
    global _generation
    _generation += 1
    _platforms.clear()


def generation() -> int:
    """A different number than before means that templates changed."""
    return _generation


def job() -> int:
    """The number of the job that began last in this process."""
    return _job


def platform_named(name: str | None) -> Platform:
    """Raises TemplateFailure."""
    if not name:
        raise TemplateFailure("the inventory names no platform for it")
    if name in (".", "..") or "/" in name or "\x00" in name:
        raise TemplateFailure(f"{named(name)} can't be the name of a platform")
    root = conf.templates
    found = _platforms.get((root, name))  # not the path of both: for each device one would be made, and hashed
    return found or _platforms.setdefault((root, name), Platform(root, name))
