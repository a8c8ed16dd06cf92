"""Two processes that update the stored counters at once: one waits, or keeps its additions for later."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.metric_models import MetricCount, MetricMark
from jobs.metrics import counted_here
from jobs.metrics import fold as folding
from jobs.metrics.families import ENDED
from jobs.metrics.kept import Additions, add
from tests.metrics.folding import begin, finished, metrics
from tests.services import PostgreSQL

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture(autouse=True)
def _begun(postgresql: PostgreSQL) -> Iterator[None]:
    begin()
    yield
    counted_here.taken()


def add_one_end() -> None:
    """As a process does that holds the mark's row, in its transaction."""
    additions = Additions()
    additions.count(ENDED, "nothing", "finished")
    add(additions, MetricMark.objects.select_for_update().get())


def test_a_scrape_waits_for_no_other_process_that_adds(postgresql: PostgreSQL) -> None:
    """That one may be frozen."""

    def flush() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            folding.flush()
        finally:
            connections.close_all()

    record(JobAction.PUBLISH_FAILED, messages=3, error="away")
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        add_one_end()
        pool.submit(flush).result(60)
    assert not MetricCount.objects.filter(name="publish_failures").exists()
    assert metrics()["publish_failures_total",] == 3


def test_what_two_add_at_once_is_counted_twice(postgresql: PostgreSQL) -> None:
    def fold() -> None:
        try:
            folding.fold()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            add_one_end()
        finished()
        with transaction.atomic():
            add_one_end()
            folds = pool.submit(fold)
            postgresql.until_blocked()
        folds.result(60)
    assert MetricCount.objects.get(name=ENDED.name).value == 3
