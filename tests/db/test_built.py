"""Queries that are built once: they return what Django would, for any number, on each database."""

from datetime import UTC, timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models import Count, Q, QuerySet

from cnaasjobs.db.built import Built, HaveRows
from cnaasjobs.db.clock import DatabaseNow
from jobs.models import Job, JobDevice
from tests.factory import device_row, job_row

pytestmark = pytest.mark.django_db


def _jobs(number: int) -> QuerySet[Job, tuple[Any, ...]]:
    named = Job.objects.filter(Q(pk=number) | Q(next_job_id=number), function_name="sync_devices")
    return named.order_by("id").values_list("id", "start_time", "function_name", "parked")


def _union(number: int) -> QuerySet[Job, tuple[Any, ...]]:
    one, other = (Job.objects.order_by().filter(q) for q in (Q(pk=number), Q(next_job_id=number)))
    return one.values_list("id", "scheduled_time").union(other.values_list("id", "scheduled_time")).order_by("id")


def _grouped(number: int) -> QuerySet[JobDevice, tuple[Any, ...]]:
    counted = JobDevice.objects.filter(job_id=number).order_by().values("failed").annotate(devices=Count("pk"))
    return counted.order_by("-devices").values_list("failed", "devices")[:2]


@pytest.mark.parametrize("make", [_jobs, _union, _grouped])
def test_the_rows_are_those_that_django_returns(make: Any) -> None:
    job, other = job_row(), job_row()
    before = job_row(next_job_id=job.pk)
    for number in range(3):
        device_row(job, f"sw{number}", **({"reason": "no"} if number else {}))
    built = Built(make)
    for number in (job.pk, other.pk, before.pk, 0):
        assert built.rows(number) == list(make(number))
    assert built.rows(job.pk)


def _device(number: int, host: str) -> QuerySet[JobDevice, tuple[Any, ...]]:
    return JobDevice.objects.filter(host=host, job_id=number).values_list("place", "host", "failed", "finish_time")


def test_a_text_may_vary_beside_the_number() -> None:
    built = Built(_device)
    for job in (job_row(), job_row()):
        for host in ("sw1", "sw%s", "\N{REPLACEMENT CHARACTER}"):
            device_row(job, host)
            assert built.rows(job.pk, host) == list(_device(job.pk, host)) != []
        assert built.rows(job.pk, "sw") == []


def test_a_text_that_is_not_compared_as_it_is_is_refused() -> None:
    """Its parameter would be ``%…%``, made of the text's placeholder for good."""
    built = Built(lambda number, host: JobDevice.objects.filter(job=number, host__contains=host).values_list("pk"))
    with pytest.raises(ValueError, match="as it is"):
        built.rows(1, "sw1")


def test_times_are_of_utc_and_texts_with_the_number_in_them_stay() -> None:
    job = job_row(function_name=str(-(2**62)))
    built = Built(lambda number: Job.objects.filter(pk=number, function_name=str(-(2**62))).values_list("start_time"))
    assert [time.tzinfo for (time,) in built.rows(job.pk)] == [UTC]


def test_it_is_built_once() -> None:
    numbers: list[int] = []

    def make(number: int) -> QuerySet[Job, tuple[Any, ...]]:
        numbers.append(number)
        return _jobs(number)

    built = Built(make)
    for job in (job_row(), job_row()):
        assert [row[0] for row in built.rows(job.pk)] == [job.pk]
    assert len(numbers) == 1


def test_the_database_s_time_is_that_of_each_statement() -> None:
    """Where it is a parameter too, of a query that is built once."""
    job = job_row()
    built = Built(lambda _: Job.objects.filter(pk=job.pk).annotate(now=DatabaseNow()).values_list("now"))
    (first,), (second,) = built.rows()[0], built.rows()[0]
    assert timedelta(0) < second - first < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_which_of_several_queries_have_a_row_is_asked_in_one_statement(django_assert_num_queries: Any) -> None:
    made: list[str] = []

    def of(name: str) -> QuerySet[Job]:
        made.append(name)
        return Job.objects.filter(function_name=name, scheduled_time__lte=DatabaseNow()).order_by("id")

    jobs = HaveRows({name: partial(of, name) for name in ("one", "100%", "other")})
    for name in ("other", "100%"):
        with django_assert_num_queries(1):
            assert name not in jobs.among(["one", "100%", "other"])
        job_row(function_name=name)
    assert jobs.among(["other", "one", "100%"]) == {"100%", "other"}
    assert jobs.among(["one"]) == set()
    assert sorted(made) == ["100%", "one", "other"]
