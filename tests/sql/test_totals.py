"""The kept total is exact: under inserts, pruning, open transactions, and wherever the watermark stands."""

import random

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.dispatch import scheduling
from jobs.models import Job, JobBlock, Watermark
from jobs.sql import store, totals
from tests import fake_jobs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobBlock, "BLOCK", 10)


def _schedule(count: int) -> list[int]:
    return [row.pk for row in scheduling.schedule_many(fake_jobs.nothing, [{}] * count)]


def _prune(ids: list[int]) -> None:
    with transaction.atomic():
        totals.forget(ids)
        Job.objects.filter(pk__in=ids).delete()


def _settle() -> None:
    while totals.advance():
        pass
    totals.advance()


def test_the_total_is_exact_wherever_the_watermark_stands() -> None:
    dice = random.Random(7)
    alive: list[int] = []
    for _ in range(40):
        alive += _schedule(dice.randint(1, 15))
        if dice.random() < 0.5:
            totals.advance()
        if dice.random() < 0.5:
            gone = dice.sample(alive, dice.randint(0, len(alive) // 2))
            _prune(gone)
            alive = [pk for pk in alive if pk not in gone]
        assert totals.total(Job.objects.all()) == len(alive) == Job.objects.count()
    assert Watermark.objects.get().below > 0


def test_the_total_is_one_statement_while_the_watermark_stays() -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert totals.total(Job.objects.all()) == 20
        return len(queries)

    _schedule(15)
    _settle()
    totals.total(Job.objects.all())
    _schedule(5)
    assert statements() == 1
    _settle()
    assert [statements(), statements()] == [2, 1]


def test_a_filtered_total_is_counted() -> None:
    ids = _schedule(25)
    _settle()
    assert totals.total(Job.objects.filter(pk__lte=ids[9])) == 10
    assert totals.total(Job.objects.filter(pk__lte=ids[9]).exclude(function_name__contains="%")) == 10
    assert totals.total(Job.objects.filter(pk__in=[])) == 0
    assert totals.total(Job.objects.exclude(pk__in=[])) == len(ids)


def test_counts_and_ids_go_no_further_than_they_are_asked() -> None:
    ids = _schedule(5)
    waiting = Job.objects.filter(status="SCHEDULED").order_by("id")
    parts = totals.Counts(waiting.filter(pk__lte=ids[2]), waiting.filter(pk__gt=ids[2]))
    assert (totals.up_to(2, parts), totals.up_to(9, parts)) == ([2, 2], [3, 2])
    assert (len(store().ids_up_to(4, parts.compiled())), sorted(store().ids_up_to(9, parts.compiled()))) == (4, ids)


def test_the_total_counts_few_rows_once_the_watermark_has_passed() -> None:
    _schedule(50)
    _settle()
    assert Job.objects.filter(pk__gte=Watermark.objects.get().below).count() == 0
    assert sum(JobBlock.objects.values_list("jobs", flat=True)) == 50


def test_a_gap_among_the_ids_is_passed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "_STEP", 20)
    *_, last = _schedule(10)
    Job.objects.filter(pk=last).update(id=last + 10**10)
    for _ in range(3):
        totals.advance()
    assert not totals.uncounted().exists()
    assert totals.total(Job.objects.all()) == 10


@pytest.mark.parametrize("order", ["id", "-id"])
def test_a_deep_page_is_the_same_page(order: str) -> None:
    ids = _schedule(95)
    everything = Job.objects.order_by(order).values_list("id", flat=True)
    assert list(totals.page(everything, 20, 10, total=95)) == list(everything[20:30]), "while none is in a block"
    _settle()
    _prune(random.Random(3).sample(ids, 30))
    _schedule(7)  # above the watermark
    count = totals.total(everything)
    for start in range(0, count + 10, 5):
        assert list(totals.page(everything, start, 10, total=count)) == list(everything[start : start + 10])


def test_what_is_in_no_block_yet_says_whether_the_watermark_is_to_be_moved() -> None:
    for _ in range(2):
        assert not totals.uncounted().exists()
        *_, newest = _schedule(3)
        assert [job.pk for job in totals.uncounted()] == [newest]
        _settle()
    assert not totals.uncounted().exists()
