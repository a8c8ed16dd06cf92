"""The inventory is Nornir's own, by any of its plugins: ``NORNIR_CONFIG`` names its configuration file.

It is cached in each process. Files are looked at before each use and read again when they changed; what comes from
elsewhere (another plugin, a transform function) is read again after ``CNAASJOBS_INVENTORY_CACHE_SECONDS``.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nornir.core import Nornir
from nornir.core.configuration import Config
from nornir.core.inventory import Inventory
from nornir.init_nornir import load_inventory
from ruamel.yaml.error import MarkedYAMLError

from cnaasjobs.conf import conf
from devices.masking import Secrets

_SIMPLE = "SimpleInventory"
_SIMPLE_FILES = {"host_file": "hosts.yaml", "group_file": "groups.yaml", "defaults_file": "defaults.yaml"}

Fingerprint = tuple[tuple[str, int, int, int] | None, ...]


class InventoryError(Exception):
    """The inventory can't be read; the text says why, without showing what stands in it."""


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    nornir: Nornir
    watched: tuple[Path, ...]
    fingerprint: Fingerprint
    expires: float | None  # on the monotonic clock

    def current(self) -> bool:
        if self.expires is not None and time.monotonic() >= self.expires:
            return False
        return self.fingerprint == _fingerprint(self.watched)


_mutex = threading.Lock()
_cache: dict[Path, _Loaded] = {}


def nornir() -> Nornir:
    """The inventory and Nornir's configuration, shared by all threads of the process: never change it.

    Raises:
        InventoryError: it can't be read.
    """
    config_file = conf.nornir_config
    with _mutex:
        loaded = _cache.get(config_file)
        if loaded is None or not loaded.current():
            _cache.clear()
            loaded = _cache[config_file] = _load(config_file)
        return loaded.nornir


def _load(config_file: Path) -> _Loaded:
    try:
        config = Config.from_file(str(config_file))
        watched = (config_file, *_resolve_paths(config, config_file.resolve().parent))
        fingerprint = _fingerprint(watched)  # taken before reading: a change meanwhile is seen the next time
        inventory = load_inventory(config)
        _refuse_bad_names(inventory)
    except InventoryError:
        raise
    except Exception as exc:  # a plugin of anybody's may raise anything
        raise InventoryError(f"The inventory of {config_file} can't be read: {_reason(exc)}") from exc
    from_files = config.inventory.plugin == _SIMPLE and not config.inventory.transform_function
    expires = None if from_files else time.monotonic() + conf.inventory_cache_seconds
    return _Loaded(
        nornir=Nornir(inventory=inventory, config=config), watched=watched, fingerprint=fingerprint, expires=expires
    )


def _resolve_paths(config: Config, beside: Path) -> list[Path]:
    """Make relative paths of the plugin's options start at the configuration file's directory; return all paths."""
    options = config.inventory.options = dict(config.inventory.options)
    if config.inventory.plugin == _SIMPLE:
        options.update({name: default for name, default in _SIMPLE_FILES.items() if name not in options})
    paths = []
    for name, value in options.items():
        if not isinstance(value, str) or not any(word in name for word in ("file", "path", "dir")):
            continue
        path = Path(value).expanduser()
        if not path.is_absolute() and ((beside / path).exists() or not path.exists()):
            path = beside / path
            options[name] = str(path)
        paths.append(path)
    return paths


def _fingerprint(paths: tuple[Path, ...]) -> Fingerprint:
    return tuple(_stat(path) for path in paths)


def _stat(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino


def _refuse_bad_names(inventory: Inventory) -> None:
    names: Iterable[object] = inventory.hosts  # YAML makes numbers of what looks like one
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= 255 or "\x00" in name:
            raise InventoryError(f"The inventory's host name {name!r} must be text of 1 to 255 characters (quote it)")


def _reason(exc: Exception) -> str:
    if isinstance(exc, MarkedYAMLError) and exc.problem_mark is not None:  # its own text may quote the file
        problem = str(exc.problem).partition(" with value ")[0]
        return f"{problem} in {exc.problem_mark.name}, line {exc.problem_mark.line + 1}"
    text = " ".join(str(exc).split())
    shown = text if isinstance(exc, OSError) else f"{type(exc).__name__}: {text}"
    return Secrets.from_environment().mask(shown)[:300]
