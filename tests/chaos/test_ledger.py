"""The ledger survives the death of the process that writes it, and a record can be written to disk and read back."""

import json
from pathlib import Path

import pytest

from tests.chaos import ledger
from tests.chaos.fabricated import Fabricated
from tests.chaos.ledger import Event, Writer
from tests.chaos.record import Post, Record
from tests.chaos.spans import Spans, crowded


def _write(writer: Writer, event: Event, **more: object) -> None:
    writer.write(event, job=1, attempt=1, token="t", kind="short", **more)


def test_lines_come_back_as_written(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    _write(writer, Event.BEGIN, lock="north", fence=3)
    _write(writer, Event.END, how="returned")
    begin, end = ledger.read(tmp_path)
    assert (begin.event, begin.lock, begin.fence, begin.how) == (Event.BEGIN, "north", 3, "")
    assert (end.event, end.how, end.fence) == (Event.END, "returned", None)
    assert begin.wall <= end.wall


def test_a_last_line_torn_by_sigkill_is_left_out(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    _write(writer, Event.BEGIN)
    _write(writer, Event.END, how="returned")
    file = next(tmp_path.iterdir())
    file.write_text(file.read_text()[:-10])
    assert [line.event for line in ledger.read(tmp_path)] == [Event.BEGIN]


def test_a_broken_line_elsewhere_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text('{"event": "beg\n{"event": "end"}\n')
    with pytest.raises(json.JSONDecodeError):
        ledger.read(tmp_path)


def test_the_ledger_says_which_body_a_process_runs_now(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    _write(writer, Event.BEGIN)
    file = next(tmp_path.iterdir())
    running = ledger.running_in(file)
    assert running is not None
    assert running.job == 1
    _write(writer, Event.END, how="returned")
    assert ledger.running_in(file) is None


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    run = Fabricated()
    run.whole_job(2, "fan", at=2, lock="north", fence=1)
    run.record.posts.append(Post(at=1, seconds=1, status=200, key="k", job=2))
    run.record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == run.record


def test_spans_are_sets_of_time() -> None:
    one, other = Spans([(5, 6), (0, 2), (1, 3), (4, 4)]), Spans([(2, 5.5)])
    assert one.spans == [(0, 3), (5, 6)]
    assert (one & other).spans == [(2, 3), (5, 5.5)]
    assert (one | other).spans == [(0, 6)]
    assert (one - other).spans == [(0, 2), (5.5, 6)]
    assert one.seconds(1, 5.25) == pytest.approx(2.25)
    assert one.covers(0.5, 3)
    assert not one.covers(2, 5)


def test_crowded_is_when_that_many_overlap() -> None:
    assert crowded([(0, 10), (2, 4), (3, 12), (11, 13)], 2).spans == [(2, 10), (11, 12)]
