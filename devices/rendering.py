"""Configurations from templates: ``CNAASJOBS_TEMPLATES/<platform>/mapping.yml`` and the Jinja2 files beside it.

Compiled templates are kept in the process. Whether their files changed is looked at when a job starts, so that all
devices of a job are rendered by the same ones.
"""

import traceback
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from devices.masking import Secrets
from devices.selection import device_type


class TemplateFailure(Exception):
    """A device's configuration can't be rendered; the text says why, in a line."""


class _Platform:
    """The templates of one platform."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = Environment(  # noqa: S701 (configurations, not HTML)
            loader=FileSystemLoader(directory, encoding="utf-8-sig"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._mapping: tuple[int, int, Any] | None = None

    def refresh(self) -> None:
        """Forget what was read from files that are others by now."""
        if self._mapping is not None and self._mapping[:2] != self._mapping_stamp():
            self._mapping = None
        compiled = self.environment.cache
        if compiled and not all(template.is_up_to_date for template in compiled.values()):
            compiled.clear()

    def entrypoint(self, type_of_device: str) -> str:
        """The template that a type of device starts from."""
        mapping = self._read_mapping()
        entry = mapping.get(type_of_device) if isinstance(mapping, dict) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("entrypoint"), str):
            named = f"device type {type_of_device}" if type_of_device else "a host without device_type"
            raise TemplateFailure(f"{self.directory.name}/mapping.yml has no entrypoint for {named}")
        return str(entry["entrypoint"])

    def _read_mapping(self) -> Any:
        if self._mapping is None:
            try:
                stamp = self._mapping_stamp()
                text = (self.directory / "mapping.yml").read_text(encoding="utf-8-sig")
                self._mapping = (*stamp, yaml.safe_load(text))
            except (OSError, yaml.YAMLError, UnicodeDecodeError) as exc:
                raise TemplateFailure(f"no templates for platform {self.directory.name}: {_one_line(exc)}") from exc
        return self._mapping[2]

    def _mapping_stamp(self) -> tuple[int, int]:
        """Time of change (ns) and size (bytes); zero when it can't be looked at: reading it then says why."""
        try:
            found = (self.directory / "mapping.yml").stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_size


_platforms: dict[Path, _Platform] = {}


def refresh() -> None:
    """Call when a job starts: templates that changed since the last one are read again."""
    for platform in list(_platforms.values()):
        platform.refresh()


def render(host: Host, secrets: Secrets) -> str:
    """The configuration of one device, with its secrets in clear text.

    Raises:
        TemplateFailure: a template is missing, broken, or asks for something the inventory does not say.
    """
    name = host.platform
    if not name:
        raise TemplateFailure("the inventory names no platform for it")
    directory = conf.templates / name
    if directory.name != name:
        raise TemplateFailure(f"{name!r} can't be the name of a platform")
    platform = _platforms.get(directory)
    if platform is None:
        platform = _platforms.setdefault(directory, _Platform(directory))
    entrypoint = platform.entrypoint(device_type(host))
    try:
        template = platform.environment.get_template(entrypoint)
        merged: dict[Any, Any] = host.extended_data()
        data = {key: value for key, value in merged.items() if isinstance(key, str)}
        return template.render({**data, **secrets.variables, "host": host.name})
    except TemplateSyntaxError as exc:
        raise TemplateFailure(f"template {exc.name or entrypoint} line {exc.lineno}: {_one_line(exc)}") from exc
    except TemplateNotFound as exc:
        raise TemplateFailure(f"template {exc.name} not found in {platform.directory}") from exc
    except Exception as exc:  # an expression in a template may raise anything
        raise TemplateFailure(f"template {_place(exc, platform.directory, entrypoint)}: {_one_line(exc)}") from exc


def _place(exc: Exception, directory: Path, entrypoint: str) -> str:
    """The innermost template line of the traceback; Jinja puts the templates' own files and lines there."""
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(directory):
            return f"{path.relative_to(directory)} line {frame.lineno}"
    return entrypoint


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
