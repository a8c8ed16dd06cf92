"""Idempotency-Key: the same key and content answers with the first job, also when both come at once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from cnaasjobs.api.errors import BadRequest, Conflict
from jobs.api.idempotency import Answer, once
from jobs.api.withdraw import Withdrawal, withdraw
from jobs.dispatch import scheduling
from jobs.models import IdempotencyKey, Job
from tests.fake_jobs import nothing
from tests.services import PostgreSQL


def schedule_one() -> Answer:
    job = scheduling.schedule(nothing, {})
    return Answer(body={"status": "success", "data": "Scheduled å", "job_id": job.pk}, headers={"X-Total-Count": "3"})


def ask(
    *, key: str | None = "k", content: Any = None, user: str = "eva", make: Callable[[], Answer] = schedule_one
) -> Answer:
    return once(user=user, key=key, content=content or {"all": True}, make=make)


@pytest.mark.django_db
def test_repetition_gets_the_first_answer() -> None:
    first = ask()
    assert ask() == first
    assert Job.objects.count() == 1
    assert first.response().headers["X-Total-Count"] == "3"


@pytest.mark.django_db
@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_each_request_schedules(key: str | None) -> None:
    assert ask(key=key) != ask(key=key)
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_keys_are_each_users_own() -> None:
    asked: list[dict[str, Any]] = [{"user": "eva"}, {"user": "adam"}, {"key": "a"}, {"key": "b"}]
    answers = [ask(**each) for each in asked]
    assert len({answer.body["job_id"] for answer in answers}) == len(asked)
    assert [ask(**each) for each in asked] == answers


@pytest.mark.django_db
def test_another_content_is_a_conflict() -> None:
    ask(content={"a": 1, "b": [1, 2]})
    ask(content={"b": [1, 2], "a": 1})
    for other in (
        {"a": 1},
        {"a": True, "b": [1, 2]},
        {"a": 1.0, "b": [1, 2]},
        {"a": 1, "b": [2, 1]},
        {"a": "1", "b": [1, 2]},
    ):
        with pytest.raises(Conflict):
            ask(content=other)
    assert Job.objects.count() == 1


@pytest.mark.django_db
def test_a_key_ends_after_24_hours() -> None:
    first = ask()
    row = IdempotencyKey.objects.get()
    IdempotencyKey.objects.update(created=row.created - timedelta(hours=23, minutes=59))
    assert ask() == first
    IdempotencyKey.objects.update(created=row.created - timedelta(hours=24, minutes=1))
    second = ask(content={"all": False})
    assert second != first
    assert ask(content={"all": False}) == second


@pytest.mark.django_db
def test_a_refused_request_leaves_nothing() -> None:
    def refuse() -> Answer:
        schedule_one()
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        ask(make=refuse)
    assert not Job.objects.exists()
    assert not IdempotencyKey.objects.exists()
    ask()


@pytest.mark.django_db
def test_a_key_too_long_is_a_400() -> None:
    ask(key="k" * 255)
    with pytest.raises(BadRequest):
        ask(key="k" * 256)


def all_at_once(threads: int, call: Callable[[int], Any]) -> list[Any]:
    barrier = Barrier(threads)

    def run(number: int) -> Any:
        try:
            barrier.wait(10)
            return call(number)
        except Conflict:
            return None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def check_both_at_once() -> None:
    for attempt in range(5):
        answers = all_at_once(6, lambda _, key=str(attempt): ask(key=key))  # type: ignore[misc]
        assert len({answer.body["job_id"] for answer in answers}) == 1
    assert Job.objects.count() == 5
    answers = all_at_once(6, lambda number: ask(key="x", content={"n": number % 2}))
    won = [answer for answer in answers if answer]
    assert len(won) == 3
    assert len({answer.body["job_id"] for answer in won}) == 1
    assert Job.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_two_posts_with_one_key_at_once_schedule_one_job() -> None:
    check_both_at_once()


@pytest.mark.needs("postgresql")
def test_two_posts_with_one_key_at_once_schedule_one_job_on_postgresql(postgresql: PostgreSQL) -> None:
    check_both_at_once()


@pytest.mark.needs("postgresql")
def test_a_repetition_beside_a_withdrawal_is_not_answered_with_the_job_that_goes(postgresql: PostgreSQL) -> None:
    job_id = ask().body["job_id"]
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert withdraw(job_id, key=("eva", "k")) is Withdrawal.WITHDRAWN
            repeated = pool.submit(all_at_once, 1, lambda _: ask())
            postgresql.until_blocked()
        assert repeated.result(10) == [None], "it is told to repeat once more"
    assert not Job.objects.exists()


@pytest.mark.needs("postgresql")
def test_a_repetition_that_finds_the_key_taken_and_then_gone(postgresql: PostgreSQL) -> None:
    """It looked before the first request came, and once more after that was withdrawn."""
    answers: list[Answer] = []

    def elsewhere(call: Callable[[], Any]) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(all_at_once, 1, lambda _: call()).result(10)[0]

    def meanwhile(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "jobs_idempotencykey"'):
            answers.append(elsewhere(ask))
            try:
                return execute(sql, *rest)
            finally:
                elsewhere(lambda: withdraw(answers[0].body["job_id"], key=("eva", "k")))
        return execute(sql, *rest)

    with connection.execute_wrapper(meanwhile), pytest.raises(Conflict, match="just withdrawn: repeat this one"):
        ask()
    assert ask() not in answers
    assert Job.objects.count() == 1


@pytest.mark.needs("postgresql")
def test_a_job_is_not_withdrawn_beside_a_repetition_that_is_answered_with_it(postgresql: PostgreSQL) -> None:
    job_id = ask().body["job_id"]
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            row = IdempotencyKey.objects.select_for_update().get()
            withdrawn = pool.submit(all_at_once, 1, lambda _: withdraw(job_id, key=("eva", "k")))
            postgresql.until_blocked()
            row.response = json.dumps({**json.loads(row.response), "repeated": True})
            row.save()
        assert withdrawn.result(10) == [Withdrawal.TOLD]
    assert Job.objects.get().pk == job_id


@pytest.mark.needs("postgresql")
def test_second_goes_ahead_when_the_first_fails(postgresql: PostgreSQL) -> None:
    """The second waits on the first's uncommitted key; the first rolls back."""
    inside, go_on = Barrier(2), Barrier(2)

    def fail() -> Answer:
        inside.wait(10)
        go_on.wait(10)
        raise OperationalError("database away")

    def run(make: Callable[[], Answer]) -> Any:
        try:
            return ask(make=make)
        except OperationalError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run, fail)
        inside.wait(10)
        second = pool.submit(run, schedule_one)
        go_on.wait(10)
        assert first.result(10) is None
        assert second.result(10).body["job_id"] == Job.objects.get().pk


@pytest.mark.django_db(transaction=True)
def test_a_failure_after_the_commit_does_not_undo_the_answer() -> None:
    def make() -> Answer:
        transaction.on_commit(broken)
        return schedule_one()

    def broken() -> None:
        raise OperationalError("database away")

    answer = ask(make=make)
    assert Job.objects.get().pk == answer.body["job_id"]


@pytest.mark.django_db(transaction=True)
def test_a_failure_before_the_commit_schedules_nothing() -> None:
    def make() -> Answer:
        schedule_one()
        raise OperationalError("database away")

    with pytest.raises(OperationalError):
        ask(make=make)
    assert not Job.objects.exists()
