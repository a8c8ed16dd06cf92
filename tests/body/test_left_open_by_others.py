"""A transaction that other code than a job's body leaves open in a worker swallows neither a claim nor an end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app, shared_task, signals
from celery.app.trace import build_tracer
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django_celery_results.models import TaskResult

from cnaasjobs.db.left_open import roll_back_left_open
from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.models import Job
from jobs.states import Status
from jobs.task import JobContext, job
from tests import fake_jobs
from tests.body.test_left_open import BEGINNINGS

pytestmark = pytest.mark.django_db(transaction=True)


def by_message(task: Any, *args: Any) -> str:
    """As a worker's process runs it."""
    id = str(uuid4())
    request = {"id": id, "task": task.name, "hostname": "w1", "delivery_info": {"routing_key": "default"}}
    build_tracer(task.name, task, app=current_app)(id, args, {}, request)
    return id


def stored() -> list[tuple[str, int]]:
    roll_back_left_open()  # as if another process looked
    return [*Job.objects.order_by("pk").values_list("status", "attempt")]


def written() -> set[str]:
    return {*Group.objects.values_list("name", flat=True)} & {"before", "written"}


@shared_task
def leaves_open(how: str) -> str:
    Group.objects.create(name="before")
    BEGINNINGS[how]()
    Group.objects.create(name="written")
    return "done"


@pytest.mark.parametrize("how", BEGINNINGS)
def test_a_plain_task_that_leaves_one_open_fails_and_the_next_job_is_not_affected(how: str) -> None:
    row = fake_jobs.nothing.schedule()
    id = by_message(leaves_open, how)
    by_message(fake_jobs.nothing, row.pk)
    assert stored() == [(Status.FINISHED, 1)]
    result = TaskResult.objects.get(task_id=id)
    assert (result.status, "the task left a database transaction open" in result.result) == ("FAILURE", True)
    assert written() == {"before"}


@job
def writes(ctx: JobContext) -> None:
    Group.objects.create(name=f"kept {uuid4()}")


@contextmanager
def leaving_open(name: str, place: str, how: str) -> Iterator[None]:
    """A receiver of this signal does, before the platform's own or after it."""

    def receiver(**_: Any) -> None:
        BEGINNINGS[how]()
        Group.objects.create(name="written")

    signal = getattr(signals, name)
    signal.connect(receiver)
    if place == "before":
        signal.receivers.insert(0, signal.receivers.pop())
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.mark.parametrize("how", BEGINNINGS)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("task_prerun", "before"),
        ("task_prerun", "after"),
        ("task_success", "before"),
        ("task_failure", "before"),
        ("task_retry", "before"),
        ("task_postrun", "after"),
    ],
)
def test_a_signals_receiver_that_leaves_one_open_loses_what_it_wrote(
    name: str, place: str, how: str, heard: list[Event]
) -> None:
    tasks = (writes, fake_jobs.raise_error, fake_jobs.retry_by_hand, writes)
    rows = [task.schedule() for task in tasks]
    with leaving_open(name, place, how):
        for row in rows:
            by_message(current_app.tasks[row.task_name], row.pk)
    assert stored() == [(Status.FINISHED, 1), (Status.EXCEPTION, 1), (Status.SCHEDULED, 1), (Status.FINISHED, 1)]
    assert written() == set()
    assert Group.objects.filter(name__startswith="kept ").count() == 2
    assert {event.fields["task"] for event in heard if event.action is JobAction.LEFT_OPEN}


def test_the_transaction_around_a_call_that_is_no_message_goes_on() -> None:
    with transaction.atomic():
        assert fake_jobs.plain.apply((1,)).get() == fake_jobs.plain(1) == 2
        assert connection.in_atomic_block
