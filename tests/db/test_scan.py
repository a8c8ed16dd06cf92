"""Pages by ids: nothing left out, nothing twice, whatever the gaps and however few rows match."""

import random

import pytest

from cnaasjobs.db import scan
from jobs.models import AuditEntry
from tests.factory import audit_entries

pytestmark = pytest.mark.django_db


def _ids(rows: list[AuditEntry]) -> list[int]:
    return [row.pk for row in rows]


def test_all_pages_together_are_all_rows_newest_first() -> None:
    chosen = sorted(random.Random(1).sample(range(1, 20_000), 130))
    audit_entries(chosen)
    page = scan.read(AuditEntry.objects.all(), size=50)
    seen = _ids(page.rows)
    assert page.after is None
    while page.before is not None:
        page = scan.read(AuditEntry.objects.all(), size=50, before=page.before)
        assert page.after is not None
        seen += _ids(page.rows)
    assert seen == chosen[::-1]


def test_newer_leads_back_over_the_same_rows() -> None:
    chosen = sorted(random.Random(2).sample(range(1, 20_000), 130))
    audit_entries(chosen)
    first = scan.read(AuditEntry.objects.all(), size=50)
    second = scan.read(AuditEntry.objects.all(), size=50, before=first.before)
    third = scan.read(AuditEntry.objects.all(), size=50, before=second.before)
    back = scan.read(AuditEntry.objects.all(), size=50, after=third.after)
    assert _ids(back.rows) == _ids(second.rows)
    assert _ids(scan.read(AuditEntry.objects.all(), size=50, after=back.after).rows) == _ids(first.rows)


def test_a_full_last_page_has_nothing_older() -> None:
    audit_entries(range(1, 51))
    page = scan.read(AuditEntry.objects.all(), size=50)
    assert len(page.rows) == 50
    assert page.before is None


def test_one_match_far_back_is_found() -> None:
    audit_entries([3, *range(100_000, 100_010)], who={3: "anna"})
    page = scan.read(AuditEntry.objects.filter(who="anna"), size=50)
    assert _ids(page.rows) == [3]
    assert not page.gave_up


def test_a_gap_of_any_size_is_passed_at_once() -> None:
    audit_entries([2, 3, 10**15, 2 * 10**15], who={3: "anna"})
    page = scan.read(AuditEntry.objects.filter(who="anna"), size=1)
    assert _ids(page.rows) == [3]
    assert _ids(scan.read(AuditEntry.objects.exclude(pk=10**15), size=2, after=3).rows) == [2 * 10**15, 3]
    newer = scan.read(AuditEntry.objects.exclude(pk=10**15), size=1, after=3)
    assert _ids(newer.rows) == [2 * 10**15]


def test_when_the_time_is_up_it_says_where_it_stopped_and_goes_on_from_there() -> None:
    audit_entries([3, *range(100_000, 100_010)], who={3: "anna"})
    page = scan.read(AuditEntry.objects.filter(who="anna"), size=50, seconds=-1.0)
    assert page.gave_up
    assert page.rows == []
    assert page.looked_from == 100_009
    assert page.before == page.looked_to == 100_009 + 1 - scan.FIRST_WINDOW
    assert _ids(_further_back("anna", page.before)) == [3]


def _further_back(who: str, before: int | None) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    while before is not None and not found:
        page = scan.read(AuditEntry.objects.filter(who=who), size=50, before=before, seconds=-1.0)
        before, found = page.before, page.rows
    return found


def test_an_empty_table_is_an_empty_page() -> None:
    assert scan.read(AuditEntry.objects.all(), size=50, before=7) == scan.Page(rows=[])


@pytest.mark.parametrize("before", [0, 1, 5, 10**18])
def test_any_position_is_a_page(before: int) -> None:
    audit_entries(range(5, 8))
    page = scan.read(AuditEntry.objects.all(), size=50, before=before)
    assert _ids(page.rows) == ([7, 6, 5] if before > 7 else [])
    assert scan.read(AuditEntry.objects.all(), size=50, after=before).rows
