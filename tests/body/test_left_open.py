"""A body that leaves a database transaction open: its job ends, and so does the next one in the same process."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job
from tests import fake_jobs

pytestmark = pytest.mark.django_db(transaction=True)


def _in_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")


BEGINNINGS: dict[str, Callable[[], Any]] = {
    "atomic": lambda: transaction.atomic().__enter__(),
    "autocommit": lambda: transaction.set_autocommit(False),
    "SQL": _in_sql,
}


@job
def begin(ctx: JobContext, *, how: str, fail: bool) -> str:
    BEGINNINGS[how]()
    if fail:
        raise ValueError("its own")
    Group.objects.create(name="written")
    return "done"


@pytest.mark.parametrize("how", BEGINNINGS)
def test_it_fails_with_a_reason_and_the_next_job_is_not_affected(how: str) -> None:
    ended = perform_job(begin, how=how, fail=False)
    assert (ended.status, ended.exception_type) == (Status.EXCEPTION, "RuntimeError")
    assert "left a database transaction open" in str(exception_of(ended))
    assert not Group.objects.filter(name="written").exists()
    assert perform_job(fake_jobs.nothing).status == Status.FINISHED


@pytest.mark.parametrize("how", BEGINNINGS)
def test_if_it_raises_it_ends_with_its_own_exception(how: str) -> None:
    assert perform_job(begin, how=how, fail=True).exception_type == "ValueError"
    assert connection.get_autocommit()
    assert perform_job(fake_jobs.nothing).status == Status.FINISHED


@job
def closes_its_connection(ctx: JobContext) -> None:
    connection.close()


def test_one_that_has_no_connection_any_more_has_left_nothing_open() -> None:
    assert perform_job(closes_its_connection).status == Status.FINISHED


def test_a_transaction_around_the_job_goes_on() -> None:
    with transaction.atomic():
        assert perform_job(fake_jobs.nothing).status == Status.FINISHED
        assert connection.in_atomic_block
