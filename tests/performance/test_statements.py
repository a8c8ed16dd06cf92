"""How many statements a job takes: they are counted, and nothing is timed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.outcome import Outcome
from jobs.run import Run
from jobs.states import Status
from jobs.task import JobTask
from jobs.testing import perform
from locks.models import Lock
from tests import fake_jobs
from tests.factory import claim
from tests.fake_jobs import fleets

pytestmark = pytest.mark.needs("postgresql", "rabbitmq")


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """One statement for a transition is PostgreSQL's."""


@contextmanager
def statements(exactly: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as queries:
        yield
    shown = "\n".join(query["sql"][:200] for query in queries)
    assert len(queries) == exactly, f"{len(queries)} statements:\n{shown}"


def _one_before(task: JobTask) -> None:
    """The connections are open, and what is prepared once for each connection is."""
    run = claim(task.schedule())
    assert isinstance(run, Run)
    transitions.finish(run, Outcome(result='{"done": true}'))
    transitions.finish(run, Outcome(result=None))


def test_a_job_takes_one_statement_for_each_of_its_three_steps() -> None:
    _one_before(fake_jobs.nothing)
    with statements(exactly=1):
        job = fake_jobs.nothing.schedule()
    with statements(exactly=1):
        run = claim(job)
    assert isinstance(run, Run)
    with statements(exactly=1):
        assert transitions.finish(run, Outcome(result='{"done": true}'))


def test_a_lock_costs_one_statement_more_at_the_end() -> None:
    _one_before(fake_jobs.with_lock)
    job = fake_jobs.with_lock.schedule()
    with statements(exactly=1):
        run = claim(job)
    assert isinstance(run, Run)
    assert Lock.objects.get().holder_id == job.pk
    assert run.fence == Lock.objects.get().fence == Job.objects.get(pk=job.pk).fence
    with statements(exactly=2):  # the second looks who is next in line
        assert transitions.finish(run, Outcome(result=None))
    assert Lock.objects.get().holder_id is None


def test_a_job_that_goes_through_a_device_takes_three_statements_more() -> None:
    """It begins, looks and leaves. One that reads first waits for the disk by a fourth, while its threads connect."""
    perform(fleets.each.schedule(hosts=["sw1"]))
    job = fleets.each.schedule(hosts=["sw1"], at_once=1)
    with statements(exactly=1 + 3 + 2 + 1):  # claim; each; finish, and who is next in line; perform() reads the row
        assert perform(job).status == Status.FINISHED


def test_many_jobs_take_a_statement_for_each_thousand() -> None:
    _one_before(fake_jobs.nothing)
    with statements(exactly=2 + 3):  # BEGIN and COMMIT
        fake_jobs.nothing.schedule_many([{}] * 3000)


@pytest.mark.parametrize(("jobs", "exactly"), [(1, 3), (49, 3), (60, 5)])  # the kept total takes two
def test_the_list_takes_as_many_statements_for_a_page_as_for_one_job(jobs: int, exactly: int) -> None:
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
        with statements(exactly=exactly):
            answer = client.get("/api/v1.0/jobs")
    assert len(answer.json()["data"]["jobs"]) == min(jobs, 50)
