"""The last 24 hours: the picture and the table say the same, and the work does not grow with the number of jobs."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cnaasjobs.db.clock import database_now
from console.reads import timeline as reads
from console.reads.timeline import COLUMNS, timeline
from jobs.models import Job
from jobs.search.find import search
from tests.console.conftest import Person
from tests.factory import job_row, job_rows

pytestmark = pytest.mark.django_db


def ended(minutes_ago: float, *, took: float = 1, status: str = "FINISHED", **fields: Any) -> Job:
    finish = database_now() - timedelta(minutes=minutes_ago)
    return job_row(status, start_time=finish - timedelta(minutes=took), finish_time=finish, **fields)


def cells(lane: reads.Lane, look: str) -> set[int]:
    """The columns that are drawn."""
    path = dict(lane.paths).get(look, "")
    found = set()
    for piece in path.split("M")[1:]:
        x, _, rest = piece.partition(" ")
        width = int(rest.split("h")[1].split("v")[0])
        found |= set(range(int(x), int(x) + width))
    return found


def test_a_lane_for_each_function_and_each_lock(viewer: Person) -> None:
    ended(30, function_name="sync_devices", lock_name="devices")
    ended(31, function_name='the "odd" one', lock_name='odd, "too"')
    ended(31, function_name="backup")
    bad = ended(32, function_name="backup", status="EXCEPTION")
    runs = job_row("RUNNING", function_name="backup", start_time=database_now() - timedelta(minutes=5))
    day = timeline()
    assert [lane.name for lane in day.functions] == ["backup", "sync_devices", 'the "odd" one']
    assert [lane.name for lane in day.locks] == ["devices", 'odd, "too"']
    page = viewer.read("/timeline")
    assert f"backup 2 1: #{bad.pk} #{runs.pk} 1 min 00 s" in page
    asked = re.findall(r'href="/jobs\?q=([^"&]+)%20since:24h"', viewer.markup("/timeline"))
    assert [len(search(unquote(line), size=9).jobs) for line in asked] == [3, 1, 1, 1, 1]


def test_what_is_drawn_is_when_it_ran() -> None:
    ended(600, took=25)
    ended(60, status="EXCEPTION")
    job_row("RUNNING", start_time=database_now() - timedelta(minutes=15))
    job_row("RUNNING", start_time=database_now() - timedelta(days=3), function_name="endless")
    endless, lane = timeline().functions
    drawn = cells(lane, "ok")
    assert len({column for column in drawn if column < 100}) in (3, 4)  # 25 minutes touch so many columns
    (exception,) = cells(lane, "exception")
    assert exception in drawn
    assert COLUMNS - 1 - exception in (6, 7)
    assert cells(lane, "running") == {COLUMNS - 2, COLUMNS - 1}
    assert cells(endless, "running") == set(range(COLUMNS))


def test_what_ended_earlier_or_never_started_is_left_out() -> None:
    ended(24 * 60 + 5)
    job_row("SCHEDULED")
    job_row("EXCEPTION", start_time=None, finish_time=database_now(), exception_type="JobAborted")
    assert timeline().functions == []


def test_many_functions_share_one_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "FUNCTIONS", 2)
    for name in ("a", "a", "b", "b", "c", "d"):
        ended(5, function_name=name)
    day = timeline()
    assert [(lane.name, lane.ended) for lane in day.functions] == [("a", 2), ("b", 2), (reads.OTHERS, 2)]
    Job.objects.filter(function_name="d").update(function_name="c")
    assert [lane.name for lane in timeline().functions] == ["a", "b", "c"]


@pytest.mark.usefixtures("each_database")
def test_of_too_many_some_of_each_column_and_every_exception(viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "ALL", 100)
    monkeypatch.setattr(reads, "SOME", 3)
    now = database_now()
    for hours in (1, 5, 20):
        finish = now - timedelta(hours=hours)
        job_rows(80, start_time=finish - timedelta(seconds=1), finish_time=finish)
    bad = ended(5 * 60 - 1, status="EXCEPTION")
    job_row("EXCEPTION", start_time=None, finish_time=now - timedelta(hours=12), exception_type="JobAborted")
    day = timeline()
    assert day.is_sample
    (lane,) = day.functions
    assert bad.pk in {span.job_id for span in lane.exceptions}
    assert lane.ended <= 3 * 4 + 1
    assert {column // 6 for column in cells(lane, "ok")} >= {3, 18, 22}
    assert "too many jobs to show each" in viewer.read("/timeline")


def test_the_number_of_statements_does_not_grow_with_the_jobs() -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            timeline()
        return len(captured)

    ended(5)
    few = statements()
    job_rows(300, finish_time=database_now(), function_name="other")
    assert statements() == few


def test_each_hour_counts_what_ended_in_it(viewer: Person) -> None:
    for minutes in (10, 11, 130):
        ended(minutes)
    newest, *_ = hours = timeline().by_hour
    assert newest.counts == [2]
    assert sum(hour.counts[0] for hour in hours) == 3
    assert len(hours) == 24
