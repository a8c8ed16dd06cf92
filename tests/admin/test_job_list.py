"""The list of jobs: what it shows, finds and filters."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.dispatch import scheduling
from jobs.lifecycle import transitions
from jobs.states import Status
from tests import fake_jobs
from tests.admin.conftest import Admin, AdminOf
from tests.factory import NOON, claimed, device_row, heartbeat, job_in, job_row, job_rows, refused

LIST = "/jobs/job/"


def ids(page: str) -> list[int]:
    """The jobs of a list, in its order."""
    return [int(found) for found in re.findall(r'name="_selected_action" value="(\d+)"', page)]


def shown(admin: Admin, query: str) -> list[int]:
    body = admin.raw(f"{LIST}{query}")
    return [int(found) for found in dict.fromkeys(re.findall(r"/admin/jobs/job/(\d+)/change/", body))]


def test_a_row_says_what_an_operator_asks_first(viewer: Admin) -> None:
    job_row(
        pk=7,
        scheduled_by="anna",
        worker="celery@w1",
        lock_name="devices",
        function_name="sync_devices (dry_run)",
        start_time=NOON + timedelta(milliseconds=40),
        finish_time=NOON + timedelta(seconds=90),
    )
    page = viewer.get(LIST)
    for words in ("FINISHED", "sync_devices (dry_run)", "2025-11-24 12:00:00", "1 min 29 s", "anna", "w1", "devices"):
        assert words in page


@pytest.mark.parametrize(
    ("exception_type", "look"),
    [("ValueError", "exception"), ("JobAborted", "aborted"), ("WorkerLost", "lost"), ("LockLost", "lost")],
)
def test_aborted_and_lost_do_not_look_like_failed(viewer: Admin, exception_type: str, look: str) -> None:
    job_row("EXCEPTION", exception_type=exception_type)
    body = viewer.raw(LIST)
    assert f'class="badge is-{look}"' in body
    assert exception_type in viewer.get(LIST)


def test_of_those_that_finished_the_list_says_which_have_failed_devices(viewer: Admin) -> None:
    device_row(job_row(), "a1")
    device_row(job_row(), "a1", reason="timed out")
    assert re.findall(r". FINISHED", viewer.get(LIST)) == ["! FINISHED", "✓ FINISHED"]


def test_states_have_a_word_and_a_sign_besides_the_colour(viewer: Admin) -> None:
    for status in Status:
        job_in(status)
    body = viewer.raw(LIST)
    for word, sign in {"SCHEDULED": "◷", "RUNNING": "▶", "FINISHED": "✓", "EXCEPTION": "✕"}.items():
        assert re.search(rf"<i>{sign}\ufe0e?</i>{word}", body)


def test_a_job_told_to_stop_and_one_in_line_say_so(viewer: Admin) -> None:
    running = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    transitions.abort(running.pk, reason="", by="anna")
    waiting = scheduling.schedule(fake_jobs.with_lock, {})
    refused(waiting)
    page = viewer.get(LIST)
    assert "RUNNING told to stop" in page
    assert "SCHEDULED in line" in page


@pytest.mark.parametrize("term", ["sync_dev", "SYNC", "night", "chg1", "ann"])
def test_search_finds_part_of_function_comment_ticket_and_who(viewer: Admin, term: str) -> None:
    job_row(pk=1, comment="tonight", ticket_ref="CHG1", scheduled_by="Anna")
    job_row(pk=2, function_name="other")
    assert shown(viewer, f"?q={term}") == [1]


def test_a_number_finds_the_job_of_that_id_first_and_tickets_with_it(viewer: Admin) -> None:
    job_rows(120, first_id=1)
    job_row(pk=500, ticket_ref="CHG0003")
    assert shown(viewer, "?q=3") == [3, 500]
    assert shown(viewer, "?q=%233")[0] == 3


def test_search_for_what_a_database_cannot_hold_finds_nothing_and_is_no_error(viewer: Admin) -> None:
    job_row(pk=1, function_name="echo")
    for term in ("%00", "%27%3B--", "9" * 40, "%25", "%25%25", "_"):
        assert shown(viewer, f"?q={term}") == [], term


def test_each_filter_finds_its_jobs(viewer: Admin) -> None:
    job_row(pk=1, queue="bulk", worker="celery@w9", function_name="special", finish_time=NOON - timedelta(days=3))
    job_row("EXCEPTION", pk=2, exception_type="KeyError")
    now = timezone.now()
    job_row(pk=3, start_time=now, finish_time=now)
    assert shown(viewer, "?status=EXCEPTION") == [2]
    assert shown(viewer, "?exception_type=KeyError") == [2]
    assert shown(viewer, "?queue=bulk") == [1]
    assert shown(viewer, "?worker=celery@w9") == [1]
    assert shown(viewer, "?function_name=special") == [1]
    assert shown(viewer, "?finish_time_from=1h") == [3]
    assert shown(viewer, "?finish_time_to=2025-11-22T00:00") == [1]
    assert shown(viewer, "?finish_time_from=2025-11-20T00:00&finish_time_to=2025-11-25T00:00&queue=default") == [2]
    assert shown(viewer, "?start_time_from=2025-11-24T12:00&status=FINISHED&queue=bulk") == [1]


def test_the_filter_in_line_finds_jobs_that_wait_for_their_lock(viewer: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    waiting = scheduling.schedule(fake_jobs.with_lock, {})
    refused(waiting)
    scheduling.schedule(fake_jobs.nothing, {})
    assert shown(viewer, "?status=in+line") == [waiting.pk]


def test_filters_offer_what_code_and_workers_name(viewer: Admin) -> None:
    heartbeat("celery@rack7")
    page = viewer.get(LIST)
    for words in ("celery@rack7", "JobAborted", "By queue All default"):
        assert words in page
    raw = viewer.raw(LIST)
    for function in ("echo (dry_run)", "with_lock"):  # as a link, or in a list to type in where there are many
        assert function in page or f'<option value="{function}">' in raw


def test_an_invalid_time_is_reported_and_ignored(viewer: Admin) -> None:
    job_row(pk=1)
    page = viewer.get(f"{LIST}?finish_time_from=yesterday")
    assert "'yesterday' is not a time" in page
    assert shown(viewer, "?finish_time_from=yesterday") == [1]


def test_pages_go_older_and_back_and_keep_the_filter(viewer: Admin) -> None:
    job_rows(60, first_id=1, queue="bulk")
    job_rows(60, first_id=61)
    first = viewer.raw(f"{LIST}?queue=bulk")
    older = re.search(r'href="(\?before=\d+&amp;queue=bulk)"', first)
    assert older
    assert shown(viewer, "?queue=bulk") == list(range(60, 10, -1))
    older_query = older[1].replace("&amp;", "&")
    assert shown(viewer, older_query) == list(range(10, 0, -1))
    newer = re.search(r'href="(\?after=\d+&amp;queue=bulk)"', viewer.raw(f"{LIST}{older_query}"))
    assert newer
    assert shown(viewer, newer[1].replace("&amp;", "&")) == list(range(60, 10, -1))
    for odd in ("?before=x", "?after=-1", "?before=" + "9" * 30, "?o=1", "?p=7", "?all="):
        assert len(shown(viewer, odd)) == 50


def test_another_filter_starts_at_the_newest_again(viewer: Admin) -> None:
    job_rows(120, first_id=1)
    links = re.findall(r'href="([^"]*status=RUNNING[^"]*)"', viewer.raw(f"{LIST}?before=60"))
    assert links
    assert not any("before" in link for link in links)


def test_only_a_user_who_may_view_jobs_sees_them(admin_of: AdminOf) -> None:
    job_row(pk=1)
    stranger = admin_of("locks.view_lock")
    stranger.get(LIST, status=403)
    stranger.get(f"{LIST}1/change/", status=403)
    stranger.get(f"{LIST}1/result/", status=403)
    assert "Jobs" not in stranger.get("/")


def test_nobody_adds_changes_or_deletes_a_job(boss: Admin) -> None:
    job = job_row(pk=1)
    boss.get(f"{LIST}add/", status=403)
    boss.post(f"{LIST}1/delete/", {"post": "yes"}, status=403)
    boss.post(f"{LIST}1/change/", {"status": "FINISHED"}, status=403)
    assert "delete_selected" not in boss.raw(LIST)
    job.refresh_from_db()
    assert job.comment is None


def test_an_unknown_job_leads_back_to_the_list(viewer: Admin) -> None:
    for path in ("99", "x", "9" * 30, "-1"):
        response = viewer.client.get(f"/admin{LIST}{path}/change/", follow=True)
        assert "It may have been pruned" in response.content.decode()


def test_a_forgotten_slash_is_added(viewer: Admin) -> None:
    response = viewer.client.get("/admin/jobs/job?q=x")
    assert response.status_code == 301
    assert response["Location"] == "/admin/jobs/job/?q=x"


def test_running_time_is_shown_while_it_runs(viewer: Admin) -> None:
    run = claimed(scheduling.schedule(fake_jobs.nothing, {}))
    assert re.search(r"RUNNING nothing .* 0\.\d\d s", viewer.get(LIST)), run
