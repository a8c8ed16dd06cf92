"""GET /api/v1.0/events: what a reader is told, in which order, and from where on."""

import asyncio
import json
import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.backends.signals import connection_created

from cnaasjobs.db.changes import COUNTER
from cnaasjobs.db.clock import database_now
from cnaasjobs.live import poller
from cnaasjobs.live.bulletin import Bulletin, Subscription
from cnaasjobs.live.database import Database
from cnaasjobs.live.poller import LOOK_SECONDS, Poller
from cnaasjobs.live.readers import MOST_WAITING, Reader
from jobs import feed
from jobs.dispatch import scheduling
from jobs.feed import Kind, News, Position, Told
from jobs.models import Job, JobLog
from jobs.states import Status
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claimed, job_in, job_row, job_rows
from tests.live.conftest import Live, Stream
from tests.waiting import stays, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

LINE = ["2026-11-26T20:00:00.000001", "INFO", "site", "sw1", "hello"]


def log(job: Job) -> None:
    JobLog.objects.create(job=job, lines=1, size=5, text=json.dumps([LINE]))


def test_a_reader_is_told_of_jobs_in_their_present_state(live: Live) -> None:
    stream = live.stream().begin()
    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert [event.name for event in stream.events] == ["position"]
    done, broken = job_in(Status.FINISHED), job_in(Status.EXCEPTION)
    stream.wait_for(lambda: {job["status"] for job in stream.of("job")} >= {"FINISHED", "EXCEPTION"})
    told = {job["id"]: job for job in stream.of("job")}
    assert told[done.pk]["finish_time"] == done.finish_time.isoformat()[:26]  # type: ignore[union-attr]
    assert told[broken.pk]["exception"] == {"type": "ValueError", "message": "it broke"}


def test_a_job_that_waits_says_what_for(live: Live) -> None:
    stream = live.stream().begin()
    scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    job = stream.wait_for(lambda: stream.of("job"))[0]
    assert (job["status"], [reason["holds"] for reason in job["waiting"]]) == (
        "SCHEDULED",
        ["time", "queue", "beat"],
    )


def test_a_reader_is_told_of_locks_and_of_lines(live: Live) -> None:
    Lock.objects.create(name="devices")
    stream = live.stream().begin()
    job = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    log(job)
    stream.wait_for(lambda: stream.of("log") and stream.of("lock"))
    assert stream.of("lock")[-1]["holder"]["job_id"] == job.pk
    keys = ("time", "level", "module", "device", "text")
    assert stream.of("log") == [{"job_id": job.pk, "lines": [dict(zip(keys, LINE, strict=True))]}]


def test_a_reader_of_one_job_or_of_one_kind_is_told_of_nothing_else(live: Live) -> None:
    mine, other = job_row("RUNNING"), job_row("RUNNING")
    of_job = live.stream(f"?job={mine.pk}").begin()
    of_logs, of_locks = live.stream("?kind=log").begin(), live.stream("?kind=lock").begin()
    Lock.objects.create(name="devices")
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    of_locks.wait_for(lambda: of_locks.of("lock"))
    for job in (other, mine):
        log(job)
        Job.objects.filter(pk=job.pk).update(comment="x")
    of_job.wait_for(lambda: of_job.of("job") and of_job.of("log"))
    of_logs.wait_for(lambda: len(of_logs.of("log")) == 2)
    assert {job["id"] for job in of_job.of("job")} == {mine.pk}
    assert [each["job_id"] for each in of_job.of("log")] == [mine.pk]
    assert of_logs.of("job") == of_logs.of("lock") == of_job.of("lock") == []


def test_while_nothing_happens_the_position_comes_now_and_then(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = live.stream().begin()
    stays(lambda: len(stream.events) == 1, seconds=0.7)
    monkeypatch.setattr(poller, "POSITION_SECONDS", 0.1)
    stream.wait_for(lambda: len(stream.events) == 3)
    assert {event.name for event in stream.events} == {"position"}


def test_a_look_is_written_down_once_for_all_who_want_the_same() -> None:
    made = bulletin(1)
    assert made.written(Subscription(frozenset(Kind))) is made.written(Subscription(frozenset(Kind)))


@pytest.mark.parametrize("by_header", [True, False])
def test_a_reader_that_was_away_resumes_where_it_was(live: Live, by_header: bool) -> None:
    first = live.stream().begin()
    told = job_in(Status.FINISHED)
    first.wait_for(lambda: first.of("job"))
    position = first.position()
    first.close()
    missed = job_in(Status.FINISHED)
    again = live.stream("?after=0.0", {"Last-Event-ID": position}) if by_header else live.stream(f"?after={position}")
    again.wait_for(lambda: again.of("job"))
    assert {job["id"] for job in again.of("job")} - {told.pk} == {missed.pk}
    assert "reset" not in [event.name for event in again.events]


def test_a_page_that_read_the_position_before_its_rows_misses_nothing(live: Live) -> None:
    position = feed.position()
    job = job_in(Status.FINISHED)
    stream = live.stream(f"?after={position}")
    stream.wait_for(lambda: stream.of("job"))
    assert [each["id"] for each in stream.of("job")] == [job.pk]


@pytest.mark.parametrize("after", ["nonsense", "abcd.7", "{feed}.9999999", f"{{feed}}.{2**63}", f"{{feed}}.0-{2**63}"])
def test_a_position_that_means_nothing_here_is_a_reset(live: Live, after: str) -> None:
    job_row()
    stream = live.stream(f"?after={after.format(feed=feed.position().feed)}").begin()
    (told,) = stream.events
    # Behind the dash is what is open on the server at that moment, of other tests too.
    assert (told.name, str(told.id).partition("-")[0]) == ("reset", str(feed.position()).partition("-")[0])


def test_one_who_is_too_far_behind_must_load_again(live: Live) -> None:
    position = feed.position()
    job_rows(feed.LIMIT + 1)
    stream = live.stream(f"?after={position}").begin()
    assert stream.events[0].name == "reset"


def test_the_position_stands_at_the_last_event_of_a_look() -> None:
    told = [Told(Kind.JOB, number, {"id": number}) for number in (1, 2, 3)]
    bulletin = Bulletin(News(told, Position("ab", 9, (7,))))
    assert bulletin.written(Subscription(frozenset(Kind))).decode() == (
        'event: job\ndata: {"id":1}\n\nevent: job\ndata: {"id":2}\n\nevent: job\nid: ab.9-7\ndata: {"id":3}\n\n'
    )
    assert bulletin.written(Subscription(frozenset(Kind), job_id=2)) == b'event: job\nid: ab.9-7\ndata: {"id":2}\n\n'
    assert bulletin.written(Subscription(frozenset(Kind), job_id=4)) == b""
    lock = Bulletin(News([Told(Kind.LOCK, None, {"name": "devices"})], Position("ab", 9)))
    assert b"devices" in lock.written(
        Subscription(frozenset({Kind.JOB, Kind.LOCK}), job_id=4)
    )  # a lock is no job's own


def bulletin(number: int) -> Bulletin:
    return Bulletin(News([Told(Kind.JOB, number, {"id": number})], Position("ab", number)))


def test_a_reader_that_falls_behind_is_dropped() -> None:
    asyncio.run(falls_behind())


async def falls_behind() -> None:
    reader = Reader(Subscription(frozenset(Kind)))
    for number in range(MOST_WAITING):
        reader.take(bulletin(number))
    assert (await reader.next(0) or b"").count(b"event:") == MOST_WAITING
    for number in range(MOST_WAITING + 1):
        reader.take(bulletin(number))
    assert reader.is_late
    assert await reader.next(0) is None
    kept = len(reader._waiting)
    reader.take(bulletin(number))
    assert len(reader._waiting) == kept  # nothing piles up until its connection is closed
    other = Reader(Subscription(frozenset(Kind), job_id=4711))
    for number in range(2 * MOST_WAITING):
        other.take(bulletin(number))
    assert not other.is_late  # nothing of it concerns that one


class Hears:
    def __init__(self) -> None:
        self.told: list[int | None] = []

    def take(self, bulletin: Bulletin) -> None:
        self.told += [told.job_id for told in bulletin.news.told or ()]


def test_a_reader_who_comes_between_two_looks_is_told_what_the_next_one_finds() -> None:
    job = job_row()
    asyncio.run(comes_between_two_looks(job.pk))


async def comes_between_two_looks(job_id: int) -> None:
    database = Database()
    looks, first, second = Poller(database), Hears(), Hears()
    looks.join(first)
    await looks._look()
    looks.join(second)
    await database.ask(Job.objects.filter(pk=job_id).update, comment="x")
    await looks._look()
    database.close()
    assert first.told == second.told == [job_id]


class Statements:
    """Of connections that are made while it watches: looks at the feed, and what is asked of jobs."""

    def __init__(self) -> None:
        self.looks = 0
        self.of_jobs: list[str] = []

    def __call__(self, execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if "WITH now" in sql or COUNTER in sql:
            self.looks += 1
        elif 'FROM "jobs_job"' in sql:
            self.of_jobs.append(sql)
        return execute(sql, parameters, many, context)

    def watch(self, connection: Any, **_: Any) -> None:
        connection.execute_wrappers.append(self)


@pytest.mark.long
def test_200_readers_cost_the_database_as_much_as_one_and_none_cost_nothing(live: Live) -> None:
    statements, job = Statements(), job_row()
    connection_created.connect(statements.watch)
    try:
        streams: list[Stream] = []
        asked: dict[int, list[str]] = {}
        for count in (1, 200):
            streams += [live.stream() for _ in range(count - len(streams))]
            for stream in streams:
                stream.begin()
            statements.looks, statements.of_jobs = 0, []
            began = time.monotonic()
            Job.objects.filter(pk=job.pk).update(comment=f"for {count}")
            wait_until(partial(_all_know, streams, f"for {count}"), timeout=60)
            asked[count] = statements.of_jobs
            assert statements.looks <= (time.monotonic() - began) / LOOK_SECONDS + 2
        assert asked[200] == asked[1] != []
        for stream in streams:
            stream.close()
        wait_until(lambda: _is_quiet(statements))
    finally:
        connection_created.disconnect(statements.watch)


def _all_know(streams: list[Stream], comment: str) -> bool:
    return all([told["comment"] for told in stream.of("job")][-1:] == [comment] for stream in streams)


def _is_quiet(statements: Statements) -> bool:
    before = statements.looks
    try:
        stays(lambda: statements.looks == before, seconds=0.6)
    except AssertionError:
        return False
    return True


def test_a_reader_stays_while_others_come_and_go(live: Live) -> None:
    stays_on = live.stream().begin()
    for _ in range(3):
        live.stream().begin().close()
    claimed(fake_jobs.nothing.schedule())
    stays_on.wait_for(lambda: [job for job in stays_on.of("job") if job["status"] == "RUNNING"])
