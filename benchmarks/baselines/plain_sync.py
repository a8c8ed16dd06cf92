"""A plain loop in one thread that renders and diffs an inventory's configurations: what a sync must do at least."""

import difflib
import time
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render_and_diff(inventory: Path, templates: Path) -> float:
    """CPU seconds, without the merging of the inventory's data, which is warm in a worker too."""
    hosts = _hosts(inventory)
    environment = Environment(
        loader=FileSystemLoader(templates), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    mapping = yaml.safe_load((templates / "mapping.yml").read_text())
    begun = time.process_time()
    for data in hosts:
        template = environment.get_template(mapping[data["device_type"]]["entrypoint"])
        "\n".join(difflib.unified_diff([], template.render(data).splitlines(), lineterm=""))
    return time.process_time() - begun


def _hosts(inventory: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((inventory / "groups.yml").read_text())
    defaults = yaml.safe_load((inventory / "defaults.yml").read_text())["data"]
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text())
    merged = []
    for name, host in hosts.items():
        data = dict(defaults)
        for group in reversed(host["groups"]):
            data |= groups[group].get("data") or {}
        merged.append({**data, **host["data"], "host": name})
    return merged
