"""Readers through outages of the database and of the events process: they miss nothing, and needn't reconnect."""

import logging
import socket
from pathlib import Path

import pytest
from django.db import connection

from cnaasjobs.live.actions import LiveAction
from cnaasjobs.live.poller import LOOK_SECONDS
from jobs.models import Job
from jobs.states import Status
from tests.factory import job_in
from tests.live.conftest import Live, Stream
from tests.services import PostgreSQL
from tests.services.postgresql import run_program
from tests.services.processes import Platform
from tests.switching import on_database
from tests.waiting import stays, wait_until


def ended(stream: Stream) -> set[int]:
    return {job["id"] for job in stream.of("job") if job["status"] == "FINISHED"}


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_crash_of_the_database_is_a_pause(
    postgresql: PostgreSQL, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stream = live.stream().begin()
    before = job_in(Status.FINISHED)
    stream.wait_for(lambda: before.pk in ended(stream))
    connection.close()
    postgresql.kill()
    meanwhile = live.stream(f"?after={stream.position()}")  # where no credentials are looked up it is let in, and waits
    stays(lambda: lines(caplog, LiveAction.FEED_WAITS) <= 1, seconds=4 * LOOK_SECONDS)
    postgresql.start()
    after = job_in(Status.FINISHED)
    stream.wait_for(lambda: after.pk in ended(stream))
    meanwhile.wait_for(lambda: after.pk in ended(meanwhile))
    assert not stream.has_ended
    assert stream.of("reset") == []
    stays(lambda: lines(caplog, LiveAction.FEED_WORKS) == 1, seconds=2 * LOOK_SECONDS)
    assert lines(caplog, LiveAction.FEED_WAITS) == 1


def lines(caplog: pytest.LogCaptureFixture, action: LiveAction) -> int:
    return sum(record.__dict__.get("action") == action for record in caplog.records)


@pytest.mark.django_db(transaction=True)
def test_a_killed_events_process_loses_no_reader_anything(platform: Platform, transactional_db: None) -> None:
    first = Stream(_started(platform)).begin()
    told = job_in(Status.FINISHED)
    first.wait_for(lambda: told.pk in ended(first))
    platform.processes[-1].kill()
    first.wait_for(lambda: first.has_ended)
    missed = job_in(Status.FINISHED)
    again = Stream(_started(platform), "", {"Last-Event-ID": first.position()})
    again.wait_for(lambda: missed.pk in ended(again))
    assert again.of("reset") == []
    for stream in (first, again):
        stream.close()
    platform.processes[-1].stop()
    assert "Traceback" not in platform.processes[-1].output()


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_frozen_database_is_a_pause_too(postgresql: PostgreSQL, platform: Platform) -> None:
    """It keeps its connections open and never answers. Nobody waits for it without end."""
    port = _started(platform)
    process = platform.processes[-1]
    stream = Stream(port).begin()
    connection.close()
    postgresql.freeze()
    try:
        process.wait_for_output("feed_waits")
    finally:
        postgresql.thaw()
    told = job_in(Status.FINISHED)
    stream.wait_for(lambda: told.pk in ended(stream))
    assert stream.of("reset") == []
    stream.close()
    connection.close()
    postgresql.freeze()
    try:
        process.stop()
    finally:
        postgresql.thaw()
    assert "Traceback" not in process.output()


@pytest.mark.needs("postgresql")
@pytest.mark.django_db(transaction=True)
def test_after_a_restore_a_reader_loads_again_and_goes_on(
    postgresql: PostgreSQL, platform: Platform, scratch: Path
) -> None:
    """Of the numbers that it knows the new database gives none, or gives them to other changes."""
    first = Stream(_started(platform)).begin()
    kept = job_in(Status.FINISHED)
    first.wait_for(lambda: kept.pk in ended(first))
    dump = scratch / "dump"
    run_program("pg_dump", postgresql, "-Fc", "-f", str(dump), postgresql.database)
    position = first.position()
    platform.processes[-1].stop()
    first.close()
    with PostgreSQL(scratch / "new") as new:
        run_program("pg_restore", new, "-d", new.database, str(dump))
        port = _started(platform, DATABASE_URL=new.url)
        again = Stream(port, "", {"Last-Event-ID": position})
        (reset,) = again.wait_for(lambda: again.of("reset"))
        with on_database(new.url):
            assert Job.objects.get().pk == kept.pk  # what it loads
            after = job_in(Status.FINISHED)
            connection.close()
        again.wait_for(lambda: after.pk in ended(again))
        assert reset["position"] != position
        again.close()
        platform.processes[-1].stop()


def _started(platform: Platform, **env: str) -> int:
    """The port of an events process."""
    process = platform.events(env=env)
    port = int(platform.events_url.rpartition(":")[2])
    wait_until(lambda: _listens(port), timeout=60, message=process.output)
    return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
