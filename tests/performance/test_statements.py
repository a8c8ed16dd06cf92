"""How many statements the way of a job takes: where work must not grow, it is counted. Nothing here is timed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Refused, Run
from jobs.states import Status
from jobs.task import JobTask
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """One statement for a transition is PostgreSQL's."""


@contextmanager
def statements(at_most: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    shown = "\n".join(query["sql"][:200] for query in queries)
    assert len(queries) <= at_most, f"{len(queries)} statements:\n{shown}"


def _one_before(task: JobTask) -> None:
    """The connections are open, and what is prepared once for each connection is."""
    run = claim(task.schedule())
    assert isinstance(run, Run)
    transitions.finish(run, Outcome(result='{"done": true}'))
    transitions.finish(run, Outcome(result=None))


def test_a_job_takes_one_statement_for_each_of_its_three_steps() -> None:
    _one_before(fake_jobs.nothing)
    with statements(at_most=1):
        job = fake_jobs.nothing.schedule()
    with statements(at_most=1):
        run = claim(job)
    assert isinstance(run, Run)
    with statements(at_most=1):
        assert transitions.finish(run, Outcome(result='{"done": true}'))


def test_a_lock_costs_one_statement_more_at_the_end() -> None:
    _one_before(fake_jobs.with_lock)
    job = fake_jobs.with_lock.schedule()
    with statements(at_most=1):
        run = claim(job)
    assert isinstance(run, Run)
    assert Lock.objects.get().holder_id == job.pk
    assert run.fence == Lock.objects.get().fence == Job.objects.get(pk=job.pk).fence
    with statements(at_most=2):  # the second looks who is next in line
        assert transitions.finish(run, Outcome(result=None))
    assert Lock.objects.get().holder_id is None


def test_many_jobs_take_a_statement_for_each_thousand() -> None:
    _one_before(fake_jobs.nothing)
    with statements(at_most=2 + 3):  # BEGIN and COMMIT
        fake_jobs.nothing.schedule_many([{}] * 3000)


@pytest.mark.parametrize("jobs", [1, 60])
def test_the_list_takes_as_many_statements_for_sixty_jobs_as_for_one(jobs: int) -> None:
    for job in fake_jobs.nothing.schedule_many([{}] * jobs):
        run = claim(job)
        assert isinstance(run, Run)
        transitions.finish(run, Outcome(result='{"done": true}'))
    user = User.objects.create(username="reader")
    user.user_permissions.set(Permission.objects.filter(codename="view_job"))
    _, token = AuthToken.objects.create(user)
    with override_settings(CNAASJOBS_REQUIRE_TOKEN=True):
        client = Client(headers={"Authorization": f"Bearer {token}"})
        client.get("/api/v1.0/jobs")  # what is read once in a process is read
        with statements(at_most=6):
            answer = client.get("/api/v1.0/jobs")
    assert len(answer.json()["data"]["jobs"]) == min(jobs, 50)


def test_an_earlier_one_in_line_goes_first() -> None:
    Lock.objects.create(name="devices")
    first, second = (fake_jobs.with_lock.schedule() for _ in range(2))
    assert isinstance(claim(second), Refused)
    assert Lock.objects.get().holder_id is None
    assert isinstance(claim(first), Run)


def test_claims_at_the_same_moment_never_share_a_lock() -> None:
    Lock.objects.create(name="devices")
    both = Barrier(2)

    def claim_at_once(job: Job) -> Run | Refused:
        try:
            both.wait(timeout=10)
            return claim(job)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        for _ in range(30):
            jobs = [fake_jobs.with_lock.schedule() for _ in range(2)]
            runs = [answer for answer in threads.map(claim_at_once, jobs) if isinstance(answer, Run)]
            assert len(runs) <= 1
            running = Job.objects.filter(status=Status.RUNNING.value).values_list("pk", flat=True)
            holders = Lock.objects.filter(holder_id__isnull=False).values_list("holder_id", flat=True)
            assert list(running) == list(holders)
            for run in runs:
                transitions.finish(run, Outcome(result=None))
            for job in jobs:
                late = claim(job)
                if isinstance(late, Run):
                    transitions.finish(late, Outcome(result=None))
    assert not Job.objects.exclude(status=Status.FINISHED.value).exists()
