"""Tables on terminals of all widths."""

import io

import pytest
from rich.console import Console

from jobs.cli.fitting import FittingTable

COLUMNS = ("id", "status", "function", "comment", "when")
ROWS = [
    ("4711", "EXCEPTION JobAborted", "sync_devices (dry_run)", "the whole of building one", "2026-11-27 16:58:46"),
    ("7", "FINISHED", "sync_devices", "", "2026-11-27 16:58:47"),
]


def shown(width: int) -> str:
    table = FittingTable(*COLUMNS)
    for row in ROWS:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [16, 20, 30, 40, 50, 60, 70, 80, 100, 200])
def test_words_stay_whole_and_what_is_needed_most_stays(width: int) -> None:
    text = shown(width)
    assert {"id", "status", "4711", "EXCEPTION", "JobAborted", "FINISHED"} <= {*text.split()}
    assert {*text.split()} <= {*" ".join([*COLUMNS, *(" ".join(row) for row in ROWS)]).split()}
    assert max(len(line) for line in text.splitlines()) <= width


def test_what_is_needed_less_goes_first() -> None:
    there = {width: [name for name in COLUMNS if name in shown(width).split()] for width in (16, 30, 44, 80)}
    assert there == {
        16: ["id", "status"],
        30: ["id", "status", "function"],
        44: ["id", "status", "function", "when"],
        80: [*COLUMNS],
    }


def test_a_row_is_one_line_where_there_is_room() -> None:
    assert len(shown(200).splitlines()) == 1 + len(ROWS)


def test_a_terminal_that_is_too_small_for_anything_gets_something() -> None:
    assert shown(1)
