"""The files of ``deploy/`` as data: systemd's units, nginx's addresses, the compose file with a .env filled in."""

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
TROUBLESHOOTING: Final = (ROOT / "docs" / "troubleshooting.md").read_text()
# What an operator sees, and the lines that show it and mend it, without the comments between them.
SITUATIONS: Final = {
    section.partition("\n")[0]: [line for line in section.split("```\n")[1].splitlines() if not line.startswith("#")]
    for section in TROUBLESHOOTING.split("\n## ")[1:]
    if "```\n" in section
}
Unit = Mapping[str, list[str]]


def unit(name: str) -> Unit:
    """Each key, of whichever section, with its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, is_setting, value = line.partition("=")
        if is_setting and not line.startswith(("#", "[")):
            found[key].append(value)
    return found


def command_of(unit: Unit) -> list[str]:
    """Of an instance ``a`` on the machine ``host``."""
    (line,) = unit["ExecStart"]
    return shlex.split(line.replace("%i", "a").replace("%H", "host").replace("%%", "%"))


def compose(given: Mapping[str, str]) -> Any:
    """``given``: what .env has. Raises KeyError for a variable that is needed and not there."""
    text = (DEPLOY / "compose" / "compose.yaml").read_text()

    def value(found: re.Match[str]) -> str:
        name, _, rest = found[1].partition(":")
        return given.get(name, rest.removeprefix("-")) if rest.startswith("-") else given[name]

    return YAML(typ="safe").load(re.sub(r"\$\{([^}]+)\}", value, text))


def upstreams(path: Path) -> dict[str, list[str]]:
    """Host and port of each server, by upstream; a backup with that word behind it."""
    blocks = re.findall(r"^upstream (\w+) \{(.*?)^\}", path.read_text(), re.M | re.S)
    return {name: re.findall(r"server (.+);", block) for name, block in blocks}


def proxied_to() -> set[str]:
    """The upstreams that nginx.conf sends requests to."""
    return set(re.findall(r"proxy_pass http://(\w+);", (DEPLOY / "nginx.conf").read_text()))


def nginx_says(key: str) -> list[str]:
    """The values of one of its directives."""
    return re.findall(rf"^\s*{key} (.+);", (DEPLOY / "nginx.conf").read_text(), re.M)
