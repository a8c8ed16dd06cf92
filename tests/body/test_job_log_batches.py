"""How the lines of a job's log become batches: made ready while the body goes on, written later, within bounds."""

import itertools
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import OperationalError
from pytest_django import Settings

from jobs.body import job_log
from jobs.body.job_log import JobLog, PendingLine, kept_in
from jobs.sql.signature import LogBatch
from tests.waiting import wait_until


class Database:
    def __init__(self) -> None:
        self.batches: list[LogBatch] = []
        self.is_away = False

    def write(self, batch: LogBatch, most_lines: int, most_bytes: int) -> bool:
        if self.is_away:
            raise OperationalError("the server closed the connection")
        stored = [*self.batches, batch]
        fits = sum(one.lines for one in stored) <= most_lines and sum(one.size for one in stored) <= most_bytes
        if fits:
            self.batches = stored
        return fits

    @property
    def texts(self) -> list[str]:
        return [line[-1] for batch in self.batches for line in json.loads(batch.text)]


def line(text: str) -> PendingLine:
    return PendingLine(0.0, "INFO", "site", None, text)


def test_lines_while_the_database_is_away_are_dropped_and_counted() -> None:
    database = Database()
    log = JobLog(database.write)
    database.is_away = True
    log.add(line("lost"))
    log.flush()
    database.is_away = False
    log.add(line("kept"))
    log.close()
    assert database.texts == ["kept", "1 lines were dropped: the log was full, or the database away"]


def test_however_much_a_thousand_devices_say_no_batch_is_stored_before_its_time(settings: Settings) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.2
    database, since, gives_way = Database(), time.monotonic(), threading.Event()
    log = JobLog(database.write)

    def are_stored(portions: int) -> Callable[[], bool]:
        return lambda: len(database.batches) >= portions

    said = itertools.count(1)
    for portion in range(4):
        for _ in range(250 * 5):
            log.add(line(f"line {next(said)}"))
        wait_until(are_stored(portion + 1))
    while len(database.batches) < 5:  # nor does a device that goes on and on put it off
        log.add(line(f"line {next(said)}"))
        gives_way.wait(0.001)
    log.close()
    waits = (time.monotonic() - since) / 0.2
    assert sum(batch.lines for batch in database.batches) == next(said) - 1
    assert len(database.batches) <= waits + 1  # the last is stored as the job ends


@pytest.mark.parametrize(("bound", "value"), [("MOST_LINES", 3), ("MOST_BYTES", 300)])
def test_more_than_a_job_may_log_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(job_log, bound, value)
    database = Database()
    log = JobLog(database.write)
    lines = [f"no {number}".ljust(100) for number in range(5)]
    for text in lines:
        log.add(line(text))
    log.close()
    assert database.texts == [*lines[:3], "2 lines were dropped: the log was full, or the database away"]


def test_lines_are_made_ready_while_the_body_goes_on_and_stay_in_their_order() -> None:
    database = Database()
    log = JobLog(database.write)

    def adds() -> None:
        for n in range(1000):
            log.add(line(f"№ {n}"))

    threads = [threading.Thread(target=adds) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    (batch,) = database.batches
    assert (batch.lines, batch.size) == (4000, sum(len(text.encode()) for text in database.texts))
    assert Counter(database.texts) == {f"№ {n}": 4 for n in range(1000)}
    log = JobLog(database.write)
    for n in range(350):
        log.add(line(f"{n}"))
        assert len(log._pending) < job_log._PORTION
    log.close()
    assert database.texts[4000:] == [f"{n}" for n in range(350)]


def test_a_source_of_secrets_may_log_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for them while lines are made ready, by the thread whose line filled a portion."""
    database = Database()
    log = JobLog(database.write)

    def masker() -> Callable[[str], str]:
        log.add(line("the inventory was read"))
        return lambda text: text

    monkeypatch.setattr(job_log, "masker", masker)
    for _ in range(job_log._PORTION):
        log.add(line("line"))
    log.close()
    assert database.texts.count("line") == job_log._PORTION
    assert database.texts[job_log._PORTION] == "the inventory was read"


def test_of_two_runs_in_a_process_each_has_its_own_lines_and_none_has_those_of_other_threads() -> None:
    databases = {"one": Database(), "two": Database()}
    began, logged = threading.Barrier(3, timeout=30), threading.Barrier(3, timeout=30)

    def run(name: str, database: Database) -> None:
        with kept_in(JobLog(database.write)):
            began.wait()
            logging.getLogger("site").warning(name)
            logged.wait()

    threads = [threading.Thread(target=run, args=each) for each in databases.items()]
    for thread in threads:
        thread.start()
    began.wait()
    logging.getLogger("site").warning("whose?")
    logged.wait()
    for thread in threads:
        thread.join()
    assert {name: database.texts for name, database in databases.items()} == {"one": ["one"], "two": ["two"]}
