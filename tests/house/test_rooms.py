"""The table of rooms: a row that is not kept is named, whichever way the import is written."""

import pytest

from tests.house import rooms
from tests.house.named import PACKAGES, ROOT, named_by_string

TABLE = """
| room | where | what it is | may import |
|---|---|---|---|
| ground | `house/db/`, `house/events.py` | it | |
| http | `house/api/` | it | ground |
| roof | `house/` | it | all |
| jobs | `jobs/` | it | ground |

after it
"""
KEPT = {
    "house.settings": ["jobs.models", "house.api"],
    "house.db.clock": ["house.db", "house.events"],
    "house.events": [],
    "house.api.views": ["house.db.clock"],
    "jobs.models": ["house.events", "jobs.states"],
    "jobs.states": [],
}


def faults(**changed: list[str]) -> list[str]:
    return rooms.faults(
        rooms.rooms_of(TABLE), {**KEPT, **{name.replace("__", "."): to for name, to in changed.items()}}
    )


def test_what_the_table_allows_is_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"house__db__clock": ["jobs.states"]}, "ground may not import jobs: house.db.clock imports jobs.states"),
        ({"house__events": ["house.settings"]}, "ground may not import roof: house.events imports house.settings"),
        (
            {"jobs__models": ["house.api.views", "house.db"]},
            "jobs may not import http: jobs.models imports house.api.views",
        ),
        ({"house__api__views": []}, "http may import ground and does not"),
        ({"garage": []}, "garage belongs to no room"),
    ],
)
def test_what_it_does_not_is_named(changed: dict[str, list[str]], fault: str) -> None:
    assert faults(**changed) == [fault]


def test_a_row_of_a_room_that_is_gone_is_named() -> None:
    left = {module: to for module, to in KEPT.items() if module != "house.events"} | {"jobs.models": ["house.db"]}
    assert rooms.faults(rooms.rooms_of(TABLE), left) == ["there is no house.events"]


def test_every_package_of_the_product_has_a_row() -> None:
    places = {place for room in rooms.rooms_of((ROOT / "CONTRIBUTING.md").read_text()) for place in room.places}
    packages = {
        f"{package}.{path.name}"
        for package in PACKAGES
        for path in (ROOT / package).iterdir()
        if (path / "__init__.py").exists()
    }
    assert packages - {"cnaasjobs.run", "locks.migrations"} <= places


def test_a_name_that_only_looks_like_a_module_is_not_one() -> None:
    modules = {"jobs.worker.window", "jobs.states"}
    named = set(named_by_string(modules))
    assert ("jobs.worker", "jobs.worker.window") in named
    assert {imported for _, imported in named} <= modules
