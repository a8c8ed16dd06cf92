"""From Nornir's configuration file to an inventory whose shape was checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nornir.core.exceptions import PluginNotRegistered
from nornir.core.inventory import Inventory
from nornir.core.plugins.inventory import InventoryPluginRegister, TransformFunctionRegister

from devices.inventory import files, shape
from devices.inventory.configuration import configuration, workers
from devices.inventory.errors import InventoryError, in_words
from devices.yaml_files import named

T = TypeVar("T")


class Source:
    """Where an inventory comes from, according to a configuration file."""

    def __init__(self, config_file: Path) -> None:
        self.config = configuration(config_file)
        self._from = self.config.inventory
        self._is_simple = self._from.plugin == files.PLUGIN
        self._options = self._from.options = dict(self._from.options)
        if self._is_simple:
            for name, default in files.FILES.items():
                self._options.setdefault(name, default)
        # A change of one of them is a reason to read the inventory again.
        self.files = (config_file, *_resolve_paths(self._options, config_file.resolve().parent))

    @property
    def from_files(self) -> bool:
        """Whether all of it comes from ``files``."""
        return self._is_simple and not self._from.transform_function

    def load(self) -> Inventory:
        """Raises InventoryError."""
        workers(self.config)
        plugin = f"inventory plugin {named(self._from.plugin)}"
        inventory = files.load(self._options) if self._is_simple else self._asked(plugin, self._by_plugin)
        if self._from.transform_function:
            plugin = f"transform function {named(self._from.transform_function)}"
            self._asked(plugin, lambda: self._transform(inventory))
        if not self.from_files:
            try:
                shape.check(inventory)
            except InventoryError as exc:
                raise InventoryError(f"{exc} (says the {plugin})") from exc
            except Exception as exc:  # what it made does not consist of Nornir's types
                raise InventoryError(f"the {plugin} must make hosts and groups of Nornir's types") from exc
        return inventory

    def _by_plugin(self) -> Inventory:
        InventoryPluginRegister.auto_register()
        return InventoryPluginRegister.get_plugin(self._from.plugin)(**self._options).load()

    def _transform(self, inventory: Inventory) -> None:
        TransformFunctionRegister.auto_register()
        function = TransformFunctionRegister.get_plugin(self._from.transform_function)
        for host in inventory.hosts.values():
            function(host, **(self._from.transform_function_options or {}))

    def _asked(self, plugin: str, work: Callable[[], T]) -> T:
        """What third-party code makes; it may raise anything."""
        try:
            return work()
        except PluginNotRegistered as exc:
            raise InventoryError(f"the {plugin} is not installed") from exc
        except (Exception, SystemExit) as exc:
            hidden = {**self._options, **(self._from.transform_function_options or {})}
            raise InventoryError(f"the {plugin} failed: {in_words(exc, hidden)}") from exc


def _resolve_paths(options: dict[str, Any], beside: Path) -> list[Path]:
    """Make relative paths in the options start at the configuration file's directory; returns all paths."""
    paths = []
    for name, value in options.items():
        if not isinstance(value, str) or not any(word in str(name) for word in ("file", "path", "dir")):
            continue
        try:
            path = Path(value).expanduser()
        except RuntimeError as exc:  # nobody has this home
            raise InventoryError(
                f"inventory.options: {named(name)} names the home of a user who does not exist"
            ) from exc
        if "\x00" in value:
            raise InventoryError(f"inventory.options: {named(name)} contains a NUL character")
        if not path.is_absolute() and ((beside / path).exists() or not path.exists()):
            path = beside / path
            options[name] = str(path)
        paths.append(path)
    return paths
