"""The list of jobs sorted by its columns: links in their headings, which keep the search and the place in the list."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from jobs.search import ordered
from tests.console.conftest import Person
from tests.console.test_jobs import ids
from tests.factory import NOON, job_row


def heads(page: str) -> dict[str, tuple[str, str]]:
    """The link in each column's head, and how the list is sorted by that column."""
    found = {}
    for attributes, inside in re.findall(r"<th\b([^>]*)>(.*?)</th>", page.partition("</thead>")[0]):
        link = re.search(r'<a href="([^"]*)">([^<]*)</a>', inside)
        if link:
            order = re.search(r'aria-sort="(\w+)"', attributes)
            found[link[2]] = (unescape(link[1]), order[1] if order else "")
    return found


def follow(person: Person, page: str, title: str) -> str:
    return person.markup(heads(page)[title][0])


@pytest.fixture
def some(db: None) -> dict[str, int]:
    """Jobs by name, the oldest first. No column has them in the order of their ids; in each, one is unset or least."""

    def took(seconds: int) -> dict[str, Any]:
        start = NOON + timedelta(seconds=seconds % 7)
        return {"start_time": start, "finish_time": start + timedelta(seconds=seconds)}

    jobs = {
        "b": job_row("EXCEPTION", function_name="beta", scheduled_by="Cid", change_score=3, **took(12)),
        "a": job_row("FINISHED", function_name="Alpha", scheduled_by="ann", change_score=70, **took(4)),
        "d": job_row("SCHEDULED", function_name="delta", scheduled_by=None, change_score=None, scheduled_time=NOON),
        "c": job_row("FINISHED", function_name="gamma", scheduled_by="bob", change_score=0, **took(20)),
    }
    return {name: job.pk for name, job in jobs.items()}


@pytest.mark.parametrize(
    ("title", "first", "second"),
    [
        ("Job", "abdc", "cdba"),
        ("State", "bcad", "dcab"),
        ("By", "acbd", "bcad"),  # whose job nobody started comes last, both ways
        ("When", "cbad", "dabc"),
        ("Took", "cbad", "abcd"),
        ("Score", "abcd", "cbad"),
    ],
)
def test_a_click_sorts_another_turns_it_around_a_third_ends_it(
    viewer: Person, some: dict[str, int], title: str, first: str, second: str
) -> None:
    def names(page: str) -> str:
        by_id = {pk: name for name, pk in some.items()}
        return "".join(by_id[pk] for pk in ids(page))

    page = viewer.markup("/jobs")
    assert {order for _, order in heads(page).values()} == {""}
    pages = [page := follow(viewer, page, title) for _ in range(3)]
    assert [names(page) for page in pages] == [first, second, "cdab"]
    orders = [{name: order for name, (_, order) in heads(page).items() if order} for page in pages]
    descends = title in ("When", "Took", "Score")
    way = ("descending", "ascending") if descends else ("ascending", "descending")
    assert orders == [{title: way[0]}, {title: way[1]}, {}]


def test_what_runs_is_sorted_by_how_long_it_has_run(viewer: Person) -> None:
    now = database_now()
    short = job_row("RUNNING", start_time=now - timedelta(seconds=5))
    long = job_row("RUNNING", start_time=now - timedelta(hours=5))
    ended = job_row(start_time=now - timedelta(hours=9), finish_time=now - timedelta(hours=8))
    again = job_row("SCHEDULED", start_time=now - timedelta(days=9))  # its first attempt began then
    never = job_row("EXCEPTION", start_time=None)  # it was aborted while it waited
    assert ids(viewer.markup("/jobs?sort=-took")) == [long.pk, ended.pk, short.pk, never.pk, again.pk]


def test_the_search_stays_and_so_does_the_order(viewer: Person, some: dict[str, int]) -> None:
    page = follow(viewer, viewer.markup("/jobs?q=status:finished"), "Score")
    assert ids(page) == [some["a"], some["c"]]
    assert 'value="status:finished"' in page
    tabs = re.findall(r'<a href="([^"]*)"', page.partition('id="tabs"')[2].partition("</nav>")[0])
    assert all(unescape(url).endswith("sort=-change_score") for url in tabs)
    assert ids(viewer.markup(unescape(tabs[0]))) == [some[name] for name in "abcd"]
    assert re.findall(r'class="chip" href="([^"]*)"', page) == ["/jobs?sort=-change_score"]


def test_the_place_in_the_list_stays(viewer: Person) -> None:
    made = [job_row(change_score=number).pk for number in range(70)]
    newest = viewer.markup("/jobs")
    older = viewer.markup(unescape(re.findall(r'rel="next" href="([^"]+)"', newest)[0]))
    page = follow(viewer, older, "Score")
    assert ids(page) == made[:20][::-1]
    assert ids(follow(viewer, page, "Score")) == made[:20]
    newer = viewer.markup(f"/jobs?after={made[4]}")
    assert ids(newer) == made[5:55][::-1]
    assert ids(follow(viewer, follow(viewer, newer, "Score"), "Score"))[0] == made[0]
    assert str(made[55]) not in map(str, ids(follow(viewer, newer, "Score")))


def test_pages_lead_through_a_sorted_list_and_back(viewer: Person) -> None:
    made = [job_row(change_score=number % 60).pk for number in range(120)]
    by_score = sorted(made, key=lambda pk: (made.index(pk) % 60, -pk))
    page, seen = viewer.markup("/jobs?sort=change_score"), []
    for _ in range(3):
        seen += ids(page)
        following = re.findall(r'rel="next" href="([^"]+)"', page)
        if following:
            page = viewer.markup(unescape(following[0]))
    assert seen == by_score
    assert not following
    assert ids(viewer.markup(unescape(re.findall(r'rel="prev" href="([^"]+)"', page)[0]))) == by_score[50:100]
    assert ids(viewer.markup("/jobs?sort=change_score&page=9999")) == by_score[100:]


def test_of_many_only_the_newest_are_sorted_and_a_link_goes_on(viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "MOST", 3)
    made = [job_row(change_score=score).pk for score in (90, 10, 20, 50, 30, 40)]
    page = viewer.markup("/jobs?sort=-change_score")
    assert ids(page) == [made[3], made[5], made[4]]
    assert "Only the newest 3 that match are sorted here." in page
    page = viewer.markup(unescape(re.findall(r'<a href="([^"]+)">Sort the older ones', page)[0]))
    assert ids(page) == [made[0], made[2], made[1]]
    assert "Sort the older ones" not in page


def test_selecting_keeps_the_order(ann: Person, some: dict[str, int]) -> None:
    page = ann.markup("/jobs?sort=-change_score")
    chosen = ann.markup(unescape(re.findall(r'href="([^"]*)">Select shown', page)[0]))
    assert ids(chosen) == ids(page)
    assert chosen.count(" checked>") >= len(some)
    assert re.findall(r'href="([^"]*)">Select none', chosen) == ["/jobs?sort=-change_score"]


@pytest.mark.parametrize("query", ["sort=colour", "sort=--took", "sort=-", "sort=%00", "page=7", "sort=pk", "after=-1"])
def test_nonsense_sorts_nothing(viewer: Person, some: dict[str, int], query: str) -> None:
    assert ids(viewer.markup(f"/jobs?{query}")) == [some[name] for name in "cdab"]


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999", "%00"])
def test_nonsense_for_a_page_is_the_first_or_the_last(viewer: Person, some: dict[str, int], page: str) -> None:
    assert ids(viewer.markup(f"/jobs?sort=took&page={page}")) == [some[name] for name in "abcd"]


def test_a_number_that_no_job_has_finds_none_in_any_order(viewer: Person, some: dict[str, int]) -> None:
    assert "No job matches this." in viewer.read(f"/jobs?q={max(some.values()) + 1}&sort=-took")
