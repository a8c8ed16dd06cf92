"""Nornir's configuration file: which inventory plugin with which options, and how many devices at a time."""

from pathlib import Path
from typing import Any, Final

from nornir.core.configuration import (
    Config,
    CoreConfig,
    InventoryConfig,
    LoggingConfig,
    Parameter,
    RunnerConfig,
    SSHConfig,
)
from nornir.core.exceptions import PluginNotRegistered
from nornir.core.plugins.runners import RunnersPluginRegister

from devices.inventory.errors import InventoryError, in_words
from devices.yaml_files import Unreadable, named, read

_SECTIONS: Final[dict[str, Any]] = {
    "core": CoreConfig,
    "inventory": InventoryConfig,
    "logging": LoggingConfig,
    "runner": RunnerConfig,
    "ssh": SSHConfig,
}
_WORDS: Final[dict[type, str]] = {
    bool: "true or false",
    dict: "a mapping of names to values",
    list: "a list",
    str: "text (quote it)",
}


def configuration(file: Path) -> Config:
    """Raises InventoryError, whose text names the section and the key."""
    try:
        raw = read(file)
    except FileNotFoundError as exc:
        raise InventoryError(str(exc.strerror)) from exc
    except Unreadable as exc:
        raise InventoryError(str(exc)) from exc
    if raw is not None and not isinstance(raw, dict):
        raise InventoryError(f"{file} must be a mapping of sections (inventory, runner, …)")
    content = raw or {}
    sections = {name: _section(name, section, content.get(name)) for name, section in _SECTIONS.items()}
    return Config(**sections, user_defined=content.get("user_defined"))


def _section(name: str, section: Any, raw: object) -> Any:
    if raw is not None and not isinstance(raw, dict):
        raise InventoryError(f"{name} must be a mapping of names to values")
    for key, value in (raw or {}).items():
        parameter = getattr(section.Parameters, key, None) if isinstance(key, str) else None
        if not isinstance(parameter, Parameter):
            raise InventoryError(f"{name}: {named(key)} must be one of {', '.join(section.__slots__)}")
        if value is not None and not isinstance(value, parameter.type):
            raise InventoryError(f"{name}: {key} must be {_WORDS[parameter.type]}")
    try:
        return section(**(raw or {}))
    except Exception as exc:  # Nornir evaluates its variables of the environment
        raise InventoryError(f"{name}: the environment's NORNIR_{name.upper()}_… has a value of another type") from exc


def workers(config: Config) -> int:
    """How many devices at a time: what the runner of the configuration would use.

    Raises:
        InventoryError: there is no such runner, or it can't be made with these options.
    """
    try:
        found = getattr(_runner(config.runner), "num_workers", 1)
    except PluginNotRegistered as exc:
        raise InventoryError(f"runner: no plugin {named(config.runner.plugin)} is installed") from exc
    except Exception as exc:  # a third-party plugin may raise anything
        raise InventoryError(f"runner: {in_words(exc, config.runner.options)}") from exc
    try:
        return max(1, int(found))
    except (TypeError, ValueError) as exc:
        raise InventoryError("runner: options.num_workers must be a number") from exc


def _runner(config: RunnerConfig) -> Any:
    """The runner, made as Nornir makes it. Searching installed packages for plugins takes 40 ms: once per process."""
    if config.plugin not in RunnersPluginRegister.available:
        RunnersPluginRegister.auto_register()
    return RunnersPluginRegister.get_plugin(config.plugin)(**config.options)
