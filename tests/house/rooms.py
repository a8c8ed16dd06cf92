"""The rooms of the house, and who may import whom: the table of CONTRIBUTING.md as a contract of import-linter.

A module belongs to the room with the longest place that holds it. The table is exact: what a room imports is in its
row, and what is in its row is imported. Imports by a string count.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grimp
from importlinter import Contract, ContractCheck, fields, output

from tests.house.named import PACKAGES, ROOT, with_strings

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Room:
    name: str
    places: tuple[str, ...]  # modules, with all below them
    may_import: frozenset[str]  # names of rooms, or "all"


def rooms_of(text: str) -> list[Room]:
    """The rows of the table, in the order of the text."""
    table = text.partition("| room | where | what it is | may import |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return [
        Room(
            name=name,
            places=tuple(
                place.rstrip("/").removesuffix(".py").replace("/", ".") for place in re.findall(r"`([^`]+)`", where)
            ),
            may_import=frozenset(filter(None, map(str.strip, allowed.split(",")))),
        )
        for name, where, _, allowed in rows
    ]


def faults(rooms: Iterable[Room], imports: Mapping[str, Iterable[str]]) -> list[str]:
    """What differs between the table and who imports whom, in words."""
    by_place = {place: room for room in rooms for place in room.places}
    found: set[str] = set()
    used: set[tuple[str, str]] = set()
    for importer, imported_modules in imports.items():
        importing = _room_of(importer, by_place)
        if importing is None:
            found.add(f"{importer} belongs to no room")
            continue
        for imported in imported_modules:
            room = _room_of(imported, by_place)
            if room is None or room is importing or ALL in importing.may_import:
                continue
            used.add((importing.name, room.name))
            if room.name not in importing.may_import:
                found.add(f"{importing.name} may not import {room.name}: {importer} imports {imported}")
    for room in by_place.values():
        for name in room.may_import - {ALL}:
            if (room.name, name) not in used:
                found.add(f"{room.name} may import {name} and does not")
    found |= {f"there is no {place}" for place in by_place if not any(_holds(place, module) for module in imports)}
    return sorted(found)


def _room_of(module: str, by_place: Mapping[str, Room]) -> Room | None:
    places = [place for place in by_place if _holds(place, module)]
    return by_place[max(places, key=len)] if places else None


def _holds(place: str, module: str) -> bool:
    return module == place or module.startswith(f"{place}.")


class RoomsContract(Contract):
    """Each room imports what its row of the table allows, and nothing else."""

    type_name = "rooms"

    table: Any = fields.StringField()

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        graph = with_strings(graph)
        ours = {module for module in graph.modules if module.partition(".")[0] in PACKAGES}
        imports = {module: graph.find_modules_directly_imported_by(module) & ours for module in ours}
        found = faults(rooms_of(Path(ROOT, self.table).read_text()), imports)
        return ContractCheck(kept=not found, metadata={"faults": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["faults"]:
            output.print_error(fault, bold=False)
