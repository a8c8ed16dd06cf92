"""Data that is the same for all users is cached for a moment, and never shown when it is out of date."""

from collections.abc import Iterator
from itertools import count

import pytest
from django.db import transaction

from console.reads.shared import MOST, SECONDS, shared
from jobs import feed
from jobs.models import Job
from tests.console.conftest import PersonOf
from tests.console.test_jobs import rows
from tests.factory import heartbeat, job_row
from tests.large import statements_of

pytestmark = pytest.mark.django_db(transaction=True)


class Asked:
    """An answer that differs each time it is asked for."""

    def __init__(self) -> None:
        self._answers: Iterator[int] = count(1)

    def __call__(self) -> int:
        return next(self._answers)


def test_the_answer_stands_for_a_second() -> None:
    ask, position, now = Asked(), feed.position(), 10.0
    assert shared(ask, position, clock=lambda: now) == 1
    now += SECONDS - 0.01
    assert shared(ask, position, clock=lambda: now) == 1
    now += 0.02
    assert shared(ask, position, clock=lambda: now) == 2


def test_a_change_of_a_job_is_asked_for_at_once() -> None:
    ask, job = Asked(), job_row("RUNNING")
    assert shared(ask, feed.position(), clock=lambda: 10.0) == 1
    Job.objects.filter(pk=job.pk).update(abort_reason="stop")
    after = feed.position()  # the next one may name what goes on meanwhile in another database of this server
    assert shared(ask, after, clock=lambda: 10.0) == 2
    assert shared(ask, after, clock=lambda: 10.0) == 2


def test_each_question_has_its_own_answers_and_not_too_many_are_kept() -> None:
    position, asked = feed.position(), list[int]()

    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    wanted = [*range(MOST), 0, MOST, 0]
    assert [shared(double, position, number, clock=lambda: 10.0) for number in wanted] == [2 * n for n in wanted]
    assert asked == [*range(MOST), MOST, 0]


def test_in_a_transaction_whose_own_changes_have_no_place_yet_nothing_is_shared() -> None:
    ask = Asked()
    with transaction.atomic():
        position = feed.position()
        assert [shared(ask, position, clock=lambda: 10.0) for _ in range(2)] == [1, 2]


def test_the_list_asks_less_the_second_time_and_counts_what_came_between(
    person_of: PersonOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.reads.shared.SECONDS", 600.0)  # however slow the machine
    boss = person_of("jobs.view_job", "jobs.view_heartbeat")
    heartbeat("celery@w1", concurrency=4)
    heartbeat("beat", kind="beat", queues="[]")
    job_row("RUNNING")
    assert "All is well 1 worker, 1 Beat, 1 job runs" in boss.read("/jobs")
    second = job_row("RUNNING")
    page = boss.markup("/jobs")
    assert f"job-{second.pk}" in rows(page)
    assert "1 worker, 1 Beat, 2 jobs run" in page
    assert not any('"jobs_heartbeat"' in sql for sql in statements_of(boss.client, "/jobs"))
