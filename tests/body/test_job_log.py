"""What a job's code logs is kept with the job: which lines, in what batches, within what bounds."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from jobs.body import job_log
from jobs.body.job_log import JobLog, PendingLine
from jobs.fleet import hands
from jobs.fleet.hands import Piece
from jobs.models import Job
from jobs.models import JobLog as Batches
from jobs.sql import store
from jobs.sql.signature import LogBatch
from jobs.testing import perform_job
from tests import fake_jobs
from tests.factory import claimed
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

SITE = "site.automation"


def lines(job: Job) -> list[list[Any]]:
    return [
        line
        for text in Batches.objects.filter(job=job).order_by("id").values_list("text", flat=True)
        for line in json.loads(text)
    ]


def texts(job: Job) -> list[str]:
    return [line[-1] for line in lines(job)]


LoggingJob = Callable[[Callable[[], object]], Job]


@pytest.fixture
def logging_job(monkeypatch: pytest.MonkeyPatch) -> LoggingJob:
    """Runs a job whose body does this."""

    def run(body: Callable[[], object]) -> Job:
        monkeypatch.setattr(fake_jobs.nothing, "run", lambda ctx: body() and None)
        return perform_job(fake_jobs.nothing)

    return run


@contextmanager
def having(host: str) -> Iterator[None]:
    """This thread works on a device."""
    hands._current.piece = Piece(lambda piece: None, 1, host, host)
    try:
        yield
    finally:
        hands._current.piece = None


def test_a_line_is_kept_with_time_level_logger_and_device(logging_job: LoggingJob) -> None:
    def body() -> None:
        logging.getLogger(SITE).info("hello %s", "world")
        with having("sw1"):
            logging.getLogger(SITE).warning("odd")
        logging.getLogger(SITE).error("by name", extra={"host": "sw2"})
        logging.getLogger(SITE).info("odd \x00")

    job = logging_job(body)
    assert [line[1:] for line in lines(job)] == [
        ["INFO", SITE, None, "hello world"],
        ["WARNING", SITE, "sw1", "odd"],
        ["ERROR", SITE, "sw2", "by name"],
        ["INFO", SITE, None, "odd \ufffd"],
    ]
    assert all(len(line[0]) == 26 for line in lines(job))


def test_lines_of_the_bodys_threads_are_the_jobs_and_those_outside_of_a_run_are_nobodys(
    logging_job: LoggingJob,
) -> None:
    def body() -> None:
        thread = threading.Thread(target=lambda: logging.getLogger(SITE).info("from a thread"))
        thread.start()
        thread.join()

    logging.getLogger(SITE).warning("before")
    job = logging_job(body)
    logging.getLogger(SITE).warning("after")
    assert texts(job) == ["from a thread"]
    assert Batches.objects.count() == 1


@pytest.fixture
def _levels_as_before() -> Iterator[None]:
    root = logging.getLogger()
    levels = {handler: handler.level for handler in root.handlers}
    before = root.level
    yield
    root.setLevel(before)
    for handler, level in levels.items():
        handler.setLevel(level)


@pytest.mark.parametrize(
    ("logger", "level", "kept"),
    [
        (SITE, "INFO", True),
        (SITE, "DEBUG", False),
        ("paramiko.transport", "INFO", False),
        ("paramiko.transport", "WARNING", True),
        ("ncclient.operations", "INFO", False),
        ("jobs", "INFO", False),
    ],
)
@pytest.mark.usefixtures("_levels_as_before")
def test_a_job_keeps_lines_from_its_level_on(logging_job: LoggingJob, logger: str, level: str, kept: bool) -> None:
    logging.getLogger().setLevel("DEBUG")  # the process's own log says more
    job = logging_job(lambda: logging.getLogger(logger).log(logging.getLevelNamesMapping()[level], "line"))
    assert texts(job) == ["line"] * kept
    assert logging.getLogger().level == logging.DEBUG


@pytest.mark.usefixtures("_levels_as_before")
def test_a_level_below_that_of_the_processs_own_log(logging_job: LoggingJob, settings: Settings) -> None:
    settings.CNAASJOBS_JOB_LOG_LEVEL = "DEBUG"
    heard: list[str] = []
    stderr = logging.StreamHandler()
    stderr.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    errors = logging.NullHandler(logging.ERROR)
    root = logging.getLogger()
    root.setLevel("WARNING")
    root.addHandler(stderr)
    root.addHandler(errors)
    try:
        job = logging_job(lambda: logging.getLogger(SITE).debug("detail"))
    finally:
        root.removeHandler(stderr)
        root.removeHandler(errors)
    assert texts(job) == ["detail"]
    assert "detail" not in heard
    assert errors.level == logging.ERROR


@pytest.mark.usefixtures("_levels_as_before")
def test_a_level_above_it_takes_nothing_from_that_log(logging_job: LoggingJob, settings: Settings) -> None:
    settings.CNAASJOBS_JOB_LOG_LEVEL = "ERROR"
    logging.getLogger().setLevel("INFO")
    job = logging_job(lambda: logging.getLogger(SITE).warning("only there"))
    assert texts(job) == []
    assert logging.getLogger().level == logging.INFO


def test_secrets_are_masked_in_what_is_kept(logging_job: LoggingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_SNMP", "tiger-lily-42")

    def body() -> None:
        logging.getLogger(SITE).info("community %s", "tiger-lily-42")
        try:
            raise ValueError("no: tiger-lily-42")
        except ValueError:
            logging.getLogger(SITE).exception("failed")
        with having("tiger-lily-42"):
            logging.getLogger("tiger-lily-42").info("%s%s", "x" * 9_995, "tiger-lily-42")

    job = logging_job(body)
    kept = "".join(Batches.objects.filter(job=job).values_list("text", flat=True))
    assert "community TEMPLATE_SECRET_SNMP" in kept
    assert "Traceback" in kept
    assert "tiger" not in kept


def test_a_line_that_cannot_be_formatted_does_not_end_the_job(
    logging_job: LoggingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    job = logging_job(lambda: logging.getLogger(SITE).info("%d", "no number"))
    assert (job.status, texts(job)) == ("FINISHED", [])


@pytest.mark.parametrize("odd", [{"created": float("nan")}, {"created": 1e30}, {"levelname": object()}])
def test_a_record_that_cannot_be_stored_is_dropped_and_ends_nothing(
    logging_job: LoggingJob, odd: dict[str, Any], settings: Settings
) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.05

    def body() -> None:
        record = logging.makeLogRecord(
            {"name": SITE, "levelno": logging.INFO, "levelname": "INFO", "msg": "odd", **odd}
        )
        logging.getLogger(SITE).handle(record)
        wait_until(lambda: not job_log._logs[threading.get_ident()]._is_due)  # the thread that writes met it
        logging.getLogger(SITE).info("next")

    job = logging_job(body)
    assert texts(job) == ["next", "1 lines were dropped: the log was full, or the database away"]


def test_while_the_body_runs_its_lines_come_in_batches(logging_job: LoggingJob, settings: Settings) -> None:
    settings.CNAASJOBS_PROGRESS_SECONDS = 0.05

    def body() -> None:
        for number in range(5):
            logging.getLogger(SITE).info("line %d", number)
        wait_until(lambda: Batches.objects.count() == 1)
        logging.getLogger(SITE).info("last")

    job = logging_job(body)
    assert texts(job) == [*(f"line {number}" for number in range(5)), "last"]
    assert list(Batches.objects.order_by("id").values_list("lines", flat=True)) == [5, 1]


def test_a_failed_job_has_its_last_lines_too(logging_job: LoggingJob) -> None:
    def body() -> None:
        logging.getLogger(SITE).info("just before")
        raise ValueError("no")

    job = logging_job(body)
    assert (job.status, texts(job)) == ("EXCEPTION", ["just before"])


def test_a_job_that_logs_nothing_costs_no_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    log = JobLog(lambda *_: pytest.fail("nothing to write"))
    log.flush()
    log.close()


def test_the_bounds_are_the_jobs_whoever_writes() -> None:
    run = claimed(fake_jobs.nothing.schedule())
    batch = LogBatch(lines=3, size=30, text="[]")

    def append(**bounds: int) -> bool:
        return store().append_log(run, batch, **{"most_lines": 100, "most_bytes": 1000, **bounds})

    assert append()
    assert not append(most_lines=5)
    assert not append(most_bytes=59)
    assert append(most_lines=6, most_bytes=60)
    assert Batches.objects.filter(job=run.job_id).count() == 2


def test_the_log_goes_with_its_job(logging_job: LoggingJob) -> None:
    job = logging_job(lambda: logging.getLogger(SITE).info("line"))
    store().delete([job.pk])
    assert Batches.objects.count() == 0


def test_a_long_line_is_cut_after_its_secrets_were_masked() -> None:
    longest = job_log._LONGEST

    def kept(text: str) -> str:
        return PendingLine(0.0, "INFO", SITE, None, text).kept(lambda text: text.replace("secret", "NAME"))[-1]

    assert kept("x" * longest) == "x" * longest
    assert kept("x" * (longest - 3) + "secret") == "x" * (longest - 3) + "NAM…"


def test_what_is_logged_after_the_end_is_nobodys() -> None:
    stored: list[LogBatch] = []

    def write(batch: LogBatch, most_lines: int, most_bytes: int) -> bool:
        stored.append(batch)
        return True

    log = JobLog(write)
    line = PendingLine(0.0, "INFO", SITE, None, "late")
    log.add(line)
    log.close()
    log.add(line)
    log.flush()
    assert [batch.lines for batch in stored] == [1]
