"""The list of jobs: searches, tabs, pages, and what each row shows."""

import re
from datetime import timedelta
from typing import Any

import pytest

from cnaasjobs.db.clock import database_now
from tests.console.conftest import Person, text_of
from tests.factory import device_row, hold_lock, job_row

HOSTILE = '<script>alert("x")</script>\'"&'


def rows(page: str) -> dict[str, str]:
    """The text of each row by its id."""
    return {name: text_of(row) for name, row in re.findall(r'<tr id="([^"]+)"(.*?)</tr>', page, re.DOTALL)}


def ids(page: str) -> list[int]:
    return [int(name.removeprefix("job-")) for name in rows(page)]


def test_a_row_says_what_one_wants_to_know(viewer: Person) -> None:
    job = job_row("RUNNING", scheduled_by="ann", comment="new servers", ticket_ref="NOC-1", lock_name="devices")
    device_row(job, "sw1", reason="timed out")
    device_row(job, "sw2")
    device_row(job, "sw3", "WAITING")
    page = viewer.markup("/jobs")
    said = rows(page)[f"job-{job.pk}"]
    for part in ("sync_devices", f"#{job.pk}", "running", "2/3", "1 failed", "ann", "NOC-1", "new servers"):
        assert part in said
    assert 'aria-label="Devices: 2 of 3 done, 1 failed"' in page
    assert ('class="well" width="2"' in page, 'class="ill" width="1"' in page) == (True, True)
    assert f'<tr id="job-{job.pk}" data-status="RUNNING" data-look="running" data-lock="devices">' in page
    assert '<time datetime="2025-11-24T12:00:01.000000Z" title="2025-11-24 12:00:01.000000 UTC">' in page
    assert re.search(r'<body [^>]*data-after="[0-9a-f]+\.\d+[-\d]*"', page)


def test_a_waiting_job_says_what_for_and_a_failed_one_why(viewer: Person) -> None:
    holder = job_row("RUNNING", lock_name="devices")
    hold_lock("devices", holder)
    waits = job_row("SCHEDULED", lock_name="devices", parked=True)
    failed = job_row(
        "EXCEPTION", exception='{"message": "no \\"such\\" host", "type": "X", "args": [""], "traceback": ""}'
    )
    later = job_row("SCHEDULED", scheduled_time=database_now() + timedelta(hours=2))
    page = rows(viewer.markup("/jobs"))
    assert f"held by job {holder.pk} (sync_devices)" in page[f"job-{waits.pk}"]
    assert 'no "such" host' in page[f"job-{failed.pk}"]
    assert "in 1 h 59 min" in page[f"job-{later.pk}"]


def test_a_row_has_the_time_that_says_most(viewer: Person) -> None:
    now = database_now()
    far, start, end = (now.replace(year=year, month=3, day=4) for year in (now.year + 9, now.year, now.year + 1))
    unstarted: dict[str, Any] = {"scheduled_time": far, "start_time": None}
    job_row("EXCEPTION", exception_type="JobAborted", **unstarted, finish_time=end)
    job_row("SCHEDULED", **unstarted)
    job_row("FINISHED", scheduled_time=far, start_time=start, finish_time=end)
    times = re.findall(r'<td class="when">.*?>([^<]*)</time>', viewer.markup("/jobs"))
    assert times == [f"{start:%m-%d %H:%M:%S}", f"{far:%Y-%m-%d %H:%M:%S}", f"{end:%Y-%m-%d %H:%M:%S}"]


def test_a_message_in_front_of_a_long_traceback_is_found(viewer: Person) -> None:
    long = f'{{"message": "{"m" * 5000}", "type": "X", "args": [""], "traceback": ""}}'
    behind = f'{{"message": "short", "type": "X", "args": [""], "traceback": "{"t" * 5000}"}}'
    first, second = job_row("EXCEPTION", exception=long), job_row("EXCEPTION", exception=behind)
    page = rows(viewer.markup("/jobs"))
    assert "mmmm" in page[f"job-{first.pk}"]
    assert "short" in page[f"job-{second.pk}"]


def test_the_search_is_the_url(viewer: Person) -> None:
    mine, _other = job_row("EXCEPTION", scheduled_by="ann"), job_row(scheduled_by="bob")
    page = viewer.markup("/jobs?q=by:ann+status:exception")
    assert ids(page) == [mine.pk]
    assert 'value="by:ann status:exception"' in page
    assert re.findall(r'class="chip" href="([^"]+)"', page) == ["/jobs?q=status%3Aexception", "/jobs?q=by%3Aann"]
    assert 'href="/jobs?q=status%3Arunning+by%3Aann"' in page


def test_tabs_count_each_state(viewer: Person) -> None:
    for status, number in {"SCHEDULED": 3, "RUNNING": 2, "EXCEPTION": 1, "FINISHED": 4}.items():
        for _ in range(number):
            job_row(status)
    page = viewer.read("/jobs?q=status:running")
    assert "All 10 Running 2 Scheduled 3 Exception 1 Finished 4" in page


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("colour:red", "there is no colour:"),
        ("status:green", "there is no status:green"),
        ('"half', "a quotation mark is missing"),
        ("a%00b", "NUL"),
        ("x" * 1001, "at most 1000 characters"),
        ("since:9999999w", "is not a time"),
    ],
)
def test_what_cannot_be_understood_is_reported(viewer: Person, line: str, words: str) -> None:
    assert words in viewer.read(f"/jobs?q={line}", status=400)


def test_a_search_for_an_id_leads_to_its_job(viewer: Person) -> None:
    job = job_row()
    assert viewer.client.get("/jobs", {"q": f" #{job.pk}"})["Location"] == f"/jobs/{job.pk}"  # as pages write it
    response = viewer.client.get(f"/jobs?q={job.pk}")
    assert (response.status_code, response["Location"]) == (302, f"/jobs/{job.pk}")
    assert "No job matches" in viewer.read(f"/jobs?q={job.pk + 1}")


def test_pages_lead_through_all_jobs_and_back(viewer: Person) -> None:
    made = [job_row().pk for _ in range(120)][::-1]
    first = viewer.markup("/jobs")
    second = viewer.markup(f"/jobs?before={ids(first)[-1]}")
    third = viewer.markup(re.findall(r'rel="next" href="([^"]+)"', second)[0])
    assert [*ids(first), *ids(second), *ids(third)] == made
    assert "Newest" not in first
    assert "Newest" in second
    assert "rel=" not in third.partition('class="pager"')[2].partition('rel="prev"')[0]
    assert ids(viewer.markup(re.findall(r'rel="prev" href="([^"]+)"', third)[0])) == ids(second)


@pytest.mark.parametrize("query", ["before=x", "after=-1", "before=99999999999999999999", "pick=%00", "q=%ff"])
def test_nonsense_is_no_error(viewer: Person, query: str) -> None:
    job_row()
    viewer.open(f"/jobs?{query}")


def test_rows_can_be_asked_for_by_themselves(viewer: Person) -> None:
    one, two = job_row(), job_row()
    job_row()
    fragment = viewer.markup(f"/jobs/rows?id={one.pk}&id={two.pk}&id=99999&id=x")
    assert ids(fragment) == [two.pk, one.pk]
    assert "<html" not in fragment
    whole = viewer.markup("/jobs")
    assert re.findall(rf'<tr id="job-{one.pk}".*?</tr>', fragment, re.DOTALL) == re.findall(
        rf'<tr id="job-{one.pk}".*?</tr>', whole, re.DOTALL
    )


def test_hostile_text_is_text(viewer: Person) -> None:
    job = job_row("EXCEPTION", scheduled_by=HOSTILE, comment=HOSTILE, ticket_ref=HOSTILE[:30], exception=None)
    page = viewer.markup("/jobs")
    assert "<script>alert" not in page
    assert HOSTILE in rows(page)[f"job-{job.pk}"]
    assert "<script>alert" not in viewer.markup("/jobs", status=200)
    assert "<script>alert" not in viewer.markup(f"/jobs?q={HOSTILE}", status=400)


def test_only_a_user_who_may_act_can_select_jobs(viewer: Person, ann: Person) -> None:
    job_row()
    assert 'name="id"' not in viewer.markup("/jobs")
    page = ann.markup("/jobs")
    assert 'name="id"' in page
    assert 'aria-label="Select job' in page
    assert " checked>" not in page.partition("<tbody")[2].partition("</tbody>")[0]
    assert ann.markup("/jobs?pick=shown").partition("<tbody")[2].partition("</tbody>")[0].count(" checked>") == 1


def test_a_full_page_is_small_and_takes_few_statements(viewer: Person, django_assert_max_num_queries: object) -> None:
    for number in range(50):
        device_row(job_row("RUNNING", comment="c" * 200, scheduled_by="s" * 100), f"sw{number}", reason="r" * 200)
    with django_assert_max_num_queries(25):  # type: ignore[operator]
        page = viewer.markup("/jobs")
    assert len(page.encode()) < 150_000
