"""Tables on terminals of all widths."""

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from jobs.cli.fitting import FittingTable

COLUMNS = ("id", "status", "function", "comment", "when (UTC)")
ROWS = [
    ("4711", "EXCEPTION JobAborted", "sync_devices (dry_run)", "the whole of building one", "2026-11-27 16:58:46"),
    ("7", "FINISHED", "sync_devices", "", "2026-11-27 16:58:47"),
]


def shown(width: int) -> str:
    table = FittingTable(*COLUMNS)
    return printed(table, *ROWS, width=width)


def printed(table: FittingTable, *rows: tuple[str, ...], width: int, terminal: bool = False) -> str:
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, color_system=None).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [16, 20, 30, 40, 50, 60, 70, 80, 100, 200])
def test_words_stay_whole_and_what_is_needed_most_stays(width: int) -> None:
    text = shown(width)
    assert {"id", "status", "4711", "EXCEPTION", "JobAborted", "FINISHED"} <= {*text.split()}
    assert {*text.split()} <= {*" ".join([*COLUMNS, *(" ".join(row) for row in ROWS)]).split()}
    assert max(len(line) for line in text.splitlines()) <= width


def test_what_is_needed_less_goes_first() -> None:
    there = {width: [name for name in COLUMNS if name in shown(width)] for width in (16, 30, 52, 80)}
    assert there == {
        16: ["id", "status"],
        30: ["id", "status", "function"],
        52: ["id", "status", "function", "when (UTC)"],
        80: [*COLUMNS],
    }


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_length_or_a_time_is_not_broken_and_a_sentence_takes_few_lines(width: int) -> None:
    when, took, waits = "2026-11-27 16:58:46", "in 47 d 15 h", "It waits for lock devices, held by job 5. It is next."
    text = printed(FittingTable("id", "when (UTC)", "took", "waits for"), ("4711", when, took, waits), width=width)
    assert (when in text, took in text) == (True, width != 60)
    assert {*waits.split()} <= {*text.split()}
    assert len(text.splitlines()) <= 4


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_long_sentence_of_one_row_costs_no_column_that_is_needed(width: int) -> None:
    columns = ("id", "status", "function", "devices", "by", "comment", "when (UTC)", "took", "score", "waits for")
    by, when, waits = "anna.lindqvist@example.org", "2026-11-29 15:44:01", "It waits for lock devices, as 3 others do."
    rows = (
        (
            "123456",
            "SCHEDULED",
            "sync_devices",
            "",
            by,
            "检查所有设备的接口和旧的配置",
            when,
            "in 47 d 15 h",
            "",
            waits * 3,
        ),
        ("123455", "EXCEPTION NetmikoTimeoutException", "a" * 60, "3/12000 17 failed", "bo", "", when, "3 s", "1", ""),
    )
    text = printed(FittingTable(*columns), *rows, width=width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert {"id", "status", "function", "devices", "by", "when"} <= {*text.splitlines()[0].split()}
    assert "others do.It waits for" in " ".join(text.split())
    assert text.count(when) == 2


@pytest.mark.parametrize("width", [80, 100])
def test_a_lock_with_long_names_keeps_who_holds_it(width: int) -> None:
    columns = ("lock", "job", "function", "by", "since (UTC)", "devices", "in line")
    rows = (
        (
            "b" * 32,
            "1234567",
            "sync_devices (dry_run)",
            "anna.lindqvist@example.org",
            "2026-11-29 15:44:01",
            "3/12000 17 failed",
            "3 wait: job 8, job 9, job 10",
        ),
        ("devices", "nobody", "", "", "", "", "1 waits: job 7"),
    )
    text = printed(FittingTable(*columns), *rows, width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert {*" ".join(columns[:-1]).split()} <= {*text.splitlines()[0].split()}
    assert {"1234567", "2026-11-29 15:44:01", "3 wait: job 8, job 9, job 10", "1 waits: job 7"} <= {
        *re.findall(r"1234567|[\d-]{10} [\d:]{8}|\d waits?: job .*\b", text)
    }


def test_a_long_name_costs_no_sentence_its_column_where_there_is_room() -> None:
    rows = (
        ("access-switch-17.building-o.umea.example.org", "failed", "1", "commit", "a@b", "No answer."),
        ("sw2",) * 6,
    )
    text = printed(FittingTable("device", "state", "score", "step", "worker", "reason"), *rows, width=100)
    assert "failed  1      commit  a@b     No answer." in text


def test_a_very_long_name_is_folded_and_its_column_stays() -> None:
    long = "goes_through_all_of_the_devices_of_every_building_one_after_the_other"
    text = printed(FittingTable(*COLUMNS), *ROWS, ("9", "FINISHED", long, "", ROWS[0][-1]), width=80)
    assert "sync_devices" in text
    assert long[:30] in text
    assert long[-9:] in text


def test_a_terminal_says_that_there_is_nothing_and_a_pipe_has_the_heads() -> None:
    def empty() -> FittingTable:
        return FittingTable(*COLUMNS, nothing="No job matches.")

    assert printed(empty(), width=80).split() == " ".join(COLUMNS).split()
    assert printed(empty(), width=80, terminal=True) == "No job matches.\n"
    assert printed(FittingTable(*COLUMNS), width=80, terminal=True) == printed(empty(), width=80)
    assert printed(empty(), *ROWS, width=80, terminal=True) == shown(80)


def test_a_row_is_one_line_where_there_is_room() -> None:
    assert len(shown(200).splitlines()) == 1 + len(ROWS)
    assert shown(200).splitlines()[1].startswith("  ".join(ROWS[0]))


def test_a_terminal_that_is_too_small_for_anything_gets_something() -> None:
    assert shown(1)
    assert {"471", "EXC"} <= {*shown(8).split()}  # of what is needed least there is nothing
