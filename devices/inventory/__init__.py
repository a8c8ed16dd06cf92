"""The inventory is Nornir's own, by any of its plugins: ``NORNIR_CONFIG`` names its configuration file.

It is cached in each process. Files are checked before each use and read again when they have changed; what comes from
elsewhere (another plugin, a transform function) is read again after ``CNAASJOBS_INVENTORY_CACHE_SECONDS``. Its shape is
checked once, when it is read: a wrong type is reported by file and host, before anything uses it.
"""

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded
from nornir.core import Nornir

from cnaasjobs import secrecy
from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Named
from devices.inventory.errors import InventoryError
from devices.inventory.loading import Source
from devices.inventory.secret_values import secret_values

__all__ = ["InventoryError", "content", "directory", "forget", "nornir", "preload"]

Fingerprint = tuple[tuple[str, int, int, int] | None, ...]


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    nornir: Nornir
    watched: tuple[Path, ...]
    fingerprint: Fingerprint
    secrets: Named
    expires: float | None  # on the monotonic clock

    @cached_property
    def content(self) -> str:
        whole = repr(self.nornir.inventory.dict())  # not JSON, which can't hold every key and value of YAML
        return sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()

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
            try:
                loaded = _cache[config_file] = _load(config_file)
            except InventoryError as exc:
                # Not "from exc": the cause may quote passwords that are not masked yet, and a traceback shows it.
                raise InventoryError(f"The inventory of {config_file} can't be read: {exc}") from None
            except SoftTimeLimitExceeded:
                raise  # the job's time ended while it was read
            except Exception as exc:  # noqa: BLE001  (what nobody foresaw, such as data that contains itself)
                words = f"The inventory of {config_file} can't be read: it causes {type(exc).__name__}"
                raise InventoryError(words) from None
            _remember(loaded.secrets)
        return loaded.nornir


def preload() -> None:
    """Read it before children are forked, so that they have it. Only files: another plugin may take minutes, and hold
    connections that must not be shared. One that can't be read is reported where it is needed.
    """
    try:
        if Source(conf.nornir_config).from_files:
            nornir()
    except InventoryError:
        return


def forget() -> None:
    """The next use reads it again."""
    with _mutex:
        _cache.clear()


def directory() -> Path:
    """The inventory's directory: that of its first file, or that of the configuration that names it."""
    config_file: Path = conf.nornir_config
    try:
        files = Source(config_file).files
    except InventoryError:
        files = (config_file,)
    return next((file.parent for file in files[1:] if file.is_file()), config_file.parent)


def content() -> str:
    """A hash of the whole inventory as this process read it last. It must not be shown: it is made of passwords too."""
    return next((loaded.content for loaded in list(_cache.values())), "")


_known: Named = frozenset()  # of the inventory as it was read last
_to_mask: Named = frozenset()


def _remember(secrets: Named) -> None:
    """The former secrets are masked too: a running job began with them, and a broken inventory names none."""
    global _known, _to_mask
    if secrets != _known:
        _known, _to_mask = secrets, secrets | _known


secrecy.register(lambda: _to_mask)


def _load(config_file: Path) -> _Loaded:
    source = Source(config_file)
    fingerprint = _fingerprint(source.files)  # taken before reading: a change meanwhile is seen the next time
    inventory = source.load()
    expires = None if source.from_files else time.monotonic() + conf.inventory_cache_seconds
    return _Loaded(
        nornir=Nornir(inventory=inventory, config=source.config),
        watched=source.files,
        fingerprint=fingerprint,
        secrets=secret_values(inventory),
        expires=expires,
    )


def _fingerprint(paths: tuple[Path, ...]) -> Fingerprint:
    return tuple(_stat(path) for path in paths)


def _stat(path: Path) -> tuple[str, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino
