"""Sending due jobs: in time, never early, and gently to a broker that is away."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction

from cnaasjobs.conf import conf
from cnaasjobs.db.clock import database_now
from jobs.background.loops import Loop
from jobs.beat.listener import Listener
from jobs.beat.sender import Sender
from jobs.broker import publisher
from jobs.dispatch import scheduling
from jobs.models import Job
from tests import fake_jobs
from tests.factory import ago
from tests.services import PostgreSQL
from tests.switching import on_broker
from tests.waiting import stays, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

POLL = conf.beat_max_sleep_seconds


def due_in(seconds: float) -> Job:
    return scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(seconds=seconds))


def make_due(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(scheduled_time=ago(seconds=1))


def unsent() -> int:
    return Job.objects.filter(dispatched_at__isnull=True).count()


def test_the_sender_waits_for_the_next_due_time_or_polls() -> None:
    listening, polling = Sender(listening=lambda: True), Sender(listening=lambda: False)
    assert (listening.step(), polling.step()) == (1.0, POLL)
    due_in(3600)
    assert (listening.step(), polling.step()) == (1.0, POLL)
    due_in(POLL / 2)
    assert 0 < listening.step() < POLL / 2
    assert 0 < polling.step() < POLL / 2


def test_nothing_is_sent_before_its_time() -> None:
    due_in(3600)
    sender = Sender(listening=lambda: True)
    sender._due_at = 0.0  # it believes that it slept long enough
    assert sender.step() > 0
    assert unsent() == 1


def test_all_that_is_due_is_sent_the_earliest_first() -> None:
    jobs = [due_in(3600) for _ in range(5)]
    for job in jobs[:4]:
        make_due(job)
    sender = Sender(listening=lambda: True)
    assert sender.step() == 0.0
    assert sender.step() == 1.0
    assert list(Job.objects.filter(dispatched_at__isnull=True)) == [jobs[4]]


def test_a_broker_that_is_away_is_asked_ever_more_rarely_and_then_gets_all(caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender(listening=lambda: True)
    for _ in range(3):
        make_due(due_in(3600))
    with on_broker("amqp://guest:guest@127.0.0.1:1//"):
        pauses = [sender.step() for _ in range(13)]
        assert pauses == sorted(pauses)
        assert pauses[-1] == 1.0
        assert unsent() == 3
        tried = [record.messages for record in caplog.records if hasattr(record, "messages")]
        assert (tried[0], tried[-1]) == (3, 1)
    while sender.step() < 1.0 or unsent():
        pass
    assert unsent() == 0


@pytest.fixture
def listener() -> Iterator[tuple[Listener, list[str]]]:
    woken: list[str] = []
    listener = Listener(wake=lambda: woken.append("woken"))
    loop = Loop("listener", listener.step)
    loop.start()
    wait_until(lambda: listener.listening)
    yield listener, woken
    loop.stop()
    loop.join(10)
    publisher.drop()


@pytest.mark.needs("postgresql")
def test_a_job_due_later_wakes_the_sender_once_it_is_committed(
    postgresql: PostgreSQL, listener: tuple[Listener, list[str]]
) -> None:
    _, woken = listener
    woken.clear()
    with transaction.atomic():
        due_in(3600)
        stays(lambda: not woken, seconds=0.2)
    wait_until(lambda: woken)
    woken.clear()
    fake_jobs.nothing.schedule()  # due now: its message is on its way already
    stays(lambda: not woken, seconds=0.2)


@pytest.mark.needs("postgresql")
def test_listening_goes_on_after_its_connection_was_cut(
    postgresql: PostgreSQL, listener: tuple[Listener, list[str]]
) -> None:
    listen, woken = listener
    postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'")
    wait_until(lambda: not listen.listening)
    wait_until(lambda: listen.listening)
    woken.clear()
    due_in(3600)
    wait_until(lambda: woken)
