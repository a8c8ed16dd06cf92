"""The log's lines, written by one thread for all that have one."""

import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cnaasjobs import logs
from cnaasjobs.logs import Lines


class Stream(io.StringIO):
    """A write lasts until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self.may_go_on = threading.Event()
        self.fails = False

    def write(self, text: str) -> int:
        self.began.set()
        assert self.may_go_on.wait(20)
        if self.fails:
            raise OSError("no space left")
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def handler(stream: Stream) -> Lines:
    handler = Lines()
    handler.setStream(stream)
    return handler


def line(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, (), None)


def test_a_thread_that_comes_while_a_line_is_written_does_not_wait(handler: Lines, stream: Stream) -> None:
    writer = threading.Thread(target=handler.handle, args=(line("first"),))
    writer.start()
    assert stream.began.wait(20)
    handler.handle(line("second"))  # returns, though nothing can be written
    handler.handle(line("third"))
    stream.may_go_on.set()
    writer.join(20)
    assert stream.getvalue() == "first\nsecond\nthird\n"


def test_every_line_of_every_thread_is_written_whole_and_in_its_order(handler: Lines, stream: Stream) -> None:
    stream.may_go_on.set()

    def many(name: str) -> None:
        for number in range(300):
            handler.handle(line(f"{name} {number}"))

    threads = [threading.Thread(target=many, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    written = [text.split() for text in stream.getvalue().splitlines()]
    for name in "abcd":
        assert [int(number) for who, number in written if who == name] == list(range(300))
    assert len(written) == 1200


def test_a_line_that_cannot_be_written_holds_up_no_other(
    handler: Lines, stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.may_go_on.set()
    stream.fails = True
    handler.handle(line("lost"))
    assert "no space left" in capsys.readouterr().err
    stream.fails = False
    handler.handle(line("next"))
    assert stream.getvalue() == "next\n"


def test_a_pipe_that_nobody_reads_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PATIENCE_SECONDS", 0.05)
    numbers, end = range(20_000), os.pipe()
    handler, reads = Lines(), os.fdopen(end[0])
    handler.setStream(os.fdopen(end[1], "w"))

    def logs_on() -> None:
        handler.handle(line("long " + "x" * 10_000))
        for number in numbers:
            handler.handle(line(f"line {number}"))

    writer = threading.Thread(target=logs_on, daemon=True)
    writer.start()
    writer.join(20)
    assert not writer.is_alive()
    monkeypatch.setattr(logs, "PATIENCE_SECONDS", 20)
    written: list[str] = []
    reader = threading.Thread(target=lambda: written.extend(reads.read().splitlines()), daemon=True)
    reader.start()
    while len(handler._lines) > 1:  # the first to log after that writes what was kept
        handler.handle(line("last"))
    handler.stream.close()
    reader.join(20)
    reads.close()
    assert written[0] == "long " + "x" * 10_000
    first = written.index("line 0")
    lasted = [text for text in written[first:] if text != "last"]
    assert lasted[-1] == f"line {numbers[-1]}"
    assert len(lasted) < len(numbers)  # the oldest that it did not take are lost


@pytest.mark.skipif(sys.platform != "linux", reason="a pipe of packets")
def test_no_other_process_writes_between_the_parts_of_a_line_of_a_page() -> None:
    end = os.pipe2(os.O_DIRECT)  # each read returns what one write wrote
    handler = Lines()
    with os.fdopen(end[1], "w") as stream:
        handler.setStream(stream)
        texts = [f"{number} {'x' * 4000}" for number in range(3)]
        for text in texts:
            handler.handle(line(text))
        assert [os.read(end[0], 10_000).decode() for _ in texts] == [f"{text}\n" for text in texts]
    os.close(end[0])


def test_in_a_file_a_line_of_any_length_stays_whole(tmp_path: Path) -> None:
    written: list[bytes] = []

    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            written.append(bytes(data))
            return super().write(data)

    handler, text = Lines(), "x" * 20_000
    with io.TextIOWrapper(io.BufferedWriter(Raw(tmp_path / "log", "w"), 50_000)) as stream:
        handler.setStream(stream)
        handler.handle(line(text))
        assert written == [f"{text}\n".encode()]


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_process_that_is_forked_while_a_line_is_written_writes_its_own(handler: Lines, stream: Stream) -> None:
    writer = threading.Thread(target=handler.handle, args=(line("the parent's"),))
    writer.start()
    assert stream.began.wait(20)
    child = os.fork()
    if child == 0:
        stream.may_go_on.set()
        handler.handle(line("the child's"))
        os._exit(0 if stream.getvalue() == "the child's\n" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stream.may_go_on.set()
    writer.join(20)
    assert stream.getvalue() == "the parent's\n"
