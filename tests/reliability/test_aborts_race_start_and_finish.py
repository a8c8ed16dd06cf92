"""Promise 8: aborts race start and finish, each aimed at the moment when the answer changes; 1,000 at full length.

How long a job takes to start and to end depends on the machine. So an abort that came too early makes the next one
wait longer, and one that came too late makes it wait less: on any machine half of them fall on either side.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest
from django.db import connection

from jobs.broker import publisher
from jobs.dispatch.scheduling import schedule
from jobs.errors import JobNotAbortable
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.testing import exception_of
from tests.chaos import history
from tests.chaos.ledger import Event
from tests.fake_jobs.ledgered import operate
from tests.reliability.conftest import Fleet, ended
from tests.reliability.scale import FACTOR
from tests.services import PostgreSQL, RabbitMQ
from tests.waiting import wait_until

RACES = 1000 if FACTOR == 1.0 else 240
RACERS = 4
OPERATION_SECONDS = 0.008
STEP = 1.3
ENOUGH = RACES // 100  # of each answer; on a busy machine most jobs have begun before ``schedule`` returns
WAITING, RUNNING, REFUSED = "aborted waiting", "aborted running", "400"


@dataclass
class Race:
    job: Job
    answer: str
    answered: float


@dataclass
class Aim:
    """How many seconds an abort waits so that it comes just when its job starts, or ends."""

    seconds: float

    def correct(self, *, early: bool) -> None:
        self.seconds = min(max(self.seconds * (STEP if early else 1 / STEP), 0.0001), 5.0)


@pytest.mark.long
@pytest.mark.needs("postgresql", "rabbitmq")
def test_aborts_race_start_and_finish(postgresql: PostgreSQL, rabbitmq: RabbitMQ, fleet: Fleet) -> None:
    history.install(postgresql)
    fleet.beat()
    fleet.worker(concurrency=RACERS)
    with ThreadPoolExecutor(RACERS) as pool:
        races = [race for many in pool.map(_races, range(RACERS)) for race in many]
    for race in races:
        ended(race.job)

    answers = [race.answer for race in races]
    assert len(answers) == RACES
    assert min(answers.count(answer) for answer in (WAITING, RUNNING, REFUSED)) >= ENOUGH
    safe_points: dict[int, float] = {}  # the last one of each job that was passed, by the moment it was asked
    asked: dict[int, float] = {}
    for line in fleet.lines(*(race.job for race in races)):
        if line.event is Event.CHECK:
            asked[line.job] = line.wall
        elif line.event is Event.GO:
            safe_points[line.job] = asked[line.job]
    begins = fleet.begins(race.job for race in races)
    for race in races:
        _judge(race, begins[race.job.pk], safe_points.get(race.job.pk, 0.0))
    assert _ended_other_than_once(postgresql) == []


def _races(number: int) -> list[Race]:
    rng = random.Random(number)
    start, finish = Aim(0.003), Aim(4 * OPERATION_SECONDS)
    try:
        return [_race(each, rng, start, finish) for each in range(RACES // RACERS)]
    finally:  # this thread's own
        publisher.drop()
        connection.close()


def _race(number: int, rng: random.Random, start: Aim, finish: Aim) -> Race:
    """Against the start, against the finish, and against whatever a random moment brings."""
    job = schedule(operate, {"count": 3, "seconds": OPERATION_SECONDS})
    match number % 4:
        case 0:
            _pause(start.seconds)
            race = _abort(job)
            start.correct(early=race.answer == WAITING)
        case 1:
            _pause(rng.uniform(0, 2 * (start.seconds + finish.seconds)))
            race = _abort(job)
        case _:
            wait_until(lambda: _status(job) != "SCHEDULED", interval=0.003, timeout=20)
            _pause(finish.seconds)
            race = _abort(job)
            finish.correct(early=race.answer == RUNNING)
    return race


def _abort(job: Job) -> Race:
    try:
        told = transitions.abort(job.pk, reason="enough", by="first")
    except JobNotAbortable:
        return Race(job, REFUSED, time.time())
    answered = time.time()
    if told.abort_reason is None:
        return Race(job, WAITING, answered)
    with suppress(JobNotAbortable):  # it may have ended in the meantime
        transitions.abort(job.pk, reason="enough", by="second")
    return Race(job, RUNNING, answered)


def _judge(race: Race, begins: int, last_safe_point: float) -> None:
    status, told = race.job.status, exception_of(race.job)
    if race.answer == REFUSED:
        assert (status, told, race.job.abort_reason) == ("FINISHED", None, None)
    elif race.answer == WAITING:
        assert (status, race.job.exception_type, begins) == ("EXCEPTION", "JobAborted", 0)
    elif status == "FINISHED":
        assert last_safe_point <= race.answered
    else:
        assert told is not None
        assert (told["type"], told["message"]) == ("JobAborted", "enough (aborted by first)")
    assert race.job.attempt == begins <= 1


def _status(job: Job) -> str:
    return str(Job.objects.values_list("status", flat=True).get(pk=job.pk))


def _pause(seconds: float) -> None:
    """So long, to the fraction of a millisecond."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, interval=0.0005)


def _ended_other_than_once(postgresql: PostgreSQL) -> list[tuple[int, int]]:
    sql = (
        "SELECT job, count(*) FILTER (WHERE after IN ('FINISHED', 'EXCEPTION')) FROM chaos_job GROUP BY job"
        " HAVING count(*) FILTER (WHERE after IN ('FINISHED', 'EXCEPTION')) <> 1"
        " OR count(*) FILTER (WHERE before IS NOT NULL AND after = 'SCHEDULED') > 0"
    )
    return [(int(job), int(count)) for job, count in postgresql.execute(sql)]
