"""The search grammar: what each part finds, how errors are worded, and how long it may take."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db.clock import database_now
from jobs.models import Job
from jobs.search.find import search
from jobs.search.grammar import SearchError, Term, terms_of
from tests.factory import device_row, job_row, job_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def jobs() -> dict[str, Job]:
    """Named for what is special about each. The plain one is NOON's, long ago."""
    made = {
        "plain": job_row(),
        "running": job_row("RUNNING", lock_name="devices"),
        "scheduled": job_row("SCHEDULED", scheduled_time=database_now() + timedelta(days=1)),
        "failed": job_row("EXCEPTION", function_name="prune"),
        "dry": job_row(function_name="sync_devices (dry_run)"),
        "anns": job_row(scheduled_by="ann"),
        "beths": job_row(scheduled_by="Beth Example"),
        "ticket": job_row(ticket_ref="NOC-4711", comment="Wartung über Nacht"),
        "high": job_row(change_score=50),
        "low": job_row(change_score=20),
        "fresh": job_row(finish_time=database_now(), function_name="sync_devices"),
        "device": job_row(function_name="sync_devices"),
        "quoted": job_row(comment="at 12:30, sharp"),
        "comma": job_row(scheduled_by="Example, Carl", lock_name='odd "lock", 1'),
    }
    device_row(made["device"], "eosdist1")
    device_row(made["comma"], "dc1,sw9")
    device_row(made["running"], "eosdist1", "TAKEN")
    device_row(made["running"], "eosdist2", "WAITING")
    return made


def names(jobs: dict[str, Job], line: str) -> set[str]:
    by_id = {job.pk: name for name, job in jobs.items()}
    return {by_id[job.pk] for job in search(line, size=100).jobs}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("status:running", {"running"}),
        ("status:Running,EXCEPTION", {"running", "failed"}),
        ("function:PRUNE", {"failed"}),
        ("function:dry", {"dry"}),
        ("device:eosdist1", {"device", "running"}),
        ("device:eosdist1,eosdist2 status:finished", {"device"}),
        ("device:eosdist", set()),
        ("by:ann", {"anns"}),
        ('by:"Beth Example"', {"beths"}),
        ("by:ann,nobody", {"anns"}),
        ('by:"Example, Carl"', {"comma"}),
        ("device:dc1,sw9", {"comma"}),
        ("device:sw9,eosdist2", {"running"}),
        ('lock:"odd ""lock"", 1"', {"comma"}),
        ("ticket:NOC-4711", {"ticket"}),
        ("lock:devices", {"running"}),
        ("score:>20", {"high"}),
        ("score:>=20", {"high", "low"}),
        ("score:<21", {"low"}),
        ("score:20", {"low"}),
        ("since:24h", {"fresh", "running", "scheduled"}),
        ("since:24h status:finished", {"fresh"}),
        ("since:2999-01-01T00:00:00 status:finished", set()),
        ("NACHT", {"ticket"}),
        ("ÜBER nacht", {"ticket"}),
        ('"über nacht"', {"ticket"}),
        ('"nacht über"', set()),
        ('"12:30"', {"quoted"}),
        ("12:30", {"quoted"}),
        ("since:999d 12:30", {"quoted"}),
        ("noc-47", {"ticket"}),
        ("  status:running   lock:devices ", {"running"}),
    ],
)
def test_each_search_finds_its_jobs(jobs: dict[str, Job], line: str, found: set[str]) -> None:
    assert names(jobs, line) == found


def test_nothing_asked_finds_all_newest_first(jobs: dict[str, Job]) -> None:
    assert [job.pk for job in search(" ", size=100).jobs] == sorted((job.pk for job in jobs.values()), reverse=True)


def test_a_number_finds_that_job(jobs: dict[str, Job]) -> None:
    assert [job.pk for job in search(f" {jobs['low'].pk} ", size=9).jobs] == [jobs["low"].pk]
    assert search("99999999999999999999999", size=9).jobs == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "devices:eosdist1",
            "there is no devices:, only status:, function:, device:, by:, ticket:, lock:, score:, since:",
        ),
        ("status:done", "there is no status:done, only scheduled, running, finished, exception"),
        ("score:high", "score:high is not a score: write it as score:20"),
        ("since:yesterday", "since:yesterday is not a time: write it as since:30m"),
        ("status:", "status: needs a value, such as status:running"),
        ("status:,", "status: needs a value, such as status:running"),
        ("Score:", "score: needs a value, such as score:>20"),
        ("by:", "by: needs a value, such as by:something"),
        ('by:"ann', "a quotation mark is missing"),
        ('a"b', "a quotation mark is missing"),
        ("since:2026-11-28 11:39", 'put a time with a space in quotation marks: since:"2026-11-28 11:39"'),
        ("a\x00b", "NUL"),
        ("x" * 1001, "at most 1000 characters"),
        ("x " * 21, "at most 20 terms"),
    ],
)
def test_what_cannot_be_understood_is_reported(line: str, said: str) -> None:
    with pytest.raises(SearchError) as refused:
        search(line, size=9)
    assert said in str(refused.value)


def test_a_term_can_be_typed_again() -> None:
    line = 'status:running by:"Beth Example" lock:"odd ""lock"", 1" "12:30" text'
    assert " ".join(map(str, terms_of(line))) == line
    assert terms_of(line)[1] == Term("by", "Beth Example")


def test_pages_go_on_below_the_last() -> None:
    job_rows(30)
    first = search("function:sync", size=20)
    second = search("function:sync", size=20, before=first.before)
    assert len({job.pk for job in [*first.jobs, *second.jobs]}) == 30
    assert (second.before, second.gave_up) == (None, None)


def test_it_looks_no_longer_than_it_may_and_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    job_rows(3000, first_id=1)
    found = search("by:nobody", size=20, seconds=0)
    assert found.jobs == []
    assert found.gave_up is not None
    assert "covered only jobs 3000 to 2001: continue below 2001" in found.gave_up
    assert found.before == 2001


@pytest.mark.parametrize(
    "line",
    ["status:running", "function:x", "device:x", "by:x", "ticket:x", "lock:x", "score:>20", "since:24h", "text"],
)
def test_every_part_is_looked_up_by_an_index(line: str) -> None:
    """One window of a large table; on a small one each database reads all of it, whatever there is."""
    job_rows(4000, first_id=1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        search(line, size=20)
    windows: list[Any] = [query["sql"] for query in queries if "OFFSET" not in query["sql"] and " >= " in query["sql"]]
    assert windows
    with connection.cursor() as cursor:
        for sql in windows[:1]:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}" if connection.vendor == "sqlite" else f"EXPLAIN {sql}")
            plan = " ".join(str(row) for row in cursor.fetchall())
            assert "Seq Scan on jobs_job " not in plan
            assert "SCAN jobs_job" not in plan
