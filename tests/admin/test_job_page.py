"""One job's page: everything about it, readable, and small whatever its body left behind."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from jobs import result_views
from jobs.admin_pages.toolkit.show import span
from jobs.dispatch import scheduling
from jobs.end_reasons import Failure
from jobs.lifecycle import transitions
from jobs.models import Job
from jobs.result_views import OnPage, ResultView
from jobs.states import Status
from tests import fake_jobs
from tests.admin.conftest import Admin
from tests.factory import claimed, device_row, job_in, job_row, refused
from tests.factory.held import HELD, held_by


def page_of(admin: Admin, job: Job) -> str:
    return admin.get(f"/jobs/job/{job.pk}/change/")


def test_the_page_shows_each_fact_of_the_job(viewer: Admin) -> None:
    job = job_row(
        scheduled_by="anna",
        comment="change window",
        ticket_ref="CHG7",
        change_score=21,
        next_job_id=99,
        worker="celery@w1",
        attempt=3,
        retries=2,
        start_arguments='{"hostnames": ["eosdist"], "text": "åäö"}',
    )
    page = page_of(viewer, job)
    for words in ("anna", "change window", "CHG7", "Change score 21", "celery@w1", "3 (2 by its own retry)", '"åäö"'):
        assert words in page
    assert '<a href="/admin/jobs/job/99/change/">99</a>' in viewer.raw(f"/jobs/job/{job.pk}/change/")


def test_an_exception_shows_its_traceback(viewer: Admin) -> None:
    run = claimed(scheduling.schedule(fake_jobs.raise_error, {}))
    transitions.fail(run, Failure(type="ValueError", message="<b>it broke</b>", traceback="Traceback …\n  line 7"))
    job = Job.objects.get(pk=run.job_id)
    assert "ValueError : <b>it broke</b>" in page_of(viewer, job)
    assert "&lt;b&gt;it broke" in viewer.raw(f"/jobs/job/{job.pk}/change/")
    assert "line 7" in page_of(viewer, job)


def test_the_page_of_a_running_job_shows_its_progress(viewer: Admin) -> None:
    job = job_in(Status.RUNNING)
    Job.objects.filter(pk=job.pk).update(
        finished_devices='["a1", "a2"]', start_arguments='{"hostnames": ["a1", "a2", "a3"]}'
    )
    page = page_of(viewer, job)
    assert "Devices finished: 2 of 3 a1 a2" in page
    assert "Running for" in page


def test_a_job_that_finished_with_failed_devices_does_not_look_as_if_all_went_well(viewer: Admin) -> None:
    job = job_row(finished_devices='["a1", "a2"]')
    device_row(job, "a1")
    assert "✓ FINISHED" in page_of(viewer, job)
    device_row(job, "a2", reason="timed out")
    page = page_of(viewer, job)
    assert "! FINISHED" in page
    assert "Devices finished: 2, 1 failed a1 a2" in page


@pytest.mark.parametrize("what", HELD)
def test_a_waiting_job_says_all_that_holds_it(viewer: Admin, what: str) -> None:
    held = held_by(what)
    page = page_of(viewer, held.job)
    for said in held.says:
        assert said in page


def test_jobs_in_a_sentence_are_links(viewer: Admin) -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    waiting = scheduling.schedule(fake_jobs.with_lock, {})
    refused(waiting)
    assert f'href="/admin/jobs/job/{holder.pk}/change/"' in viewer.raw(f"/jobs/job/{waiting.pk}/change/")


def test_a_result_of_5_mb_is_cut_with_a_way_to_the_whole(viewer: Admin) -> None:
    text = "line of text\n" * 400_000
    job = job_row(result=json.dumps({"text": text}))
    body = viewer.raw(f"/jobs/job/{job.pk}/change/")
    assert len(body) < 700_000
    assert f'href="/admin/jobs/job/{job.pk}/result/"' in body
    assert f"GET /api/v1.0/job/{job.pk}" in body
    whole = viewer.client.get(f"/admin/jobs/job/{job.pk}/result/")
    assert whole["Content-Type"] == "application/json"
    assert json.loads(whole.content) == {"text": text}


def test_a_result_is_shown_by_the_template_of_its_tasks_view(
    viewer: Admin, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    class Doubled(ResultView):
        """The view of a task that returns a number; anything else is shown as any other result."""

        def on_page(self, stored: str) -> OnPage | None:
            value = json.loads(stored)
            if value == [1, 2]:
                raise KeyError("devices")
            template = "doubled.html" if value == 42 else "no_such.html"
            return OnPage(template=template, context={"value": 2 * value}) if isinstance(value, int) else None

    (tmp_path / "doubled.html").write_text("<p>twice: {{ page.value }}, of {{ job.function_name }}</p>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    monkeypatch.setattr(result_views, "_views", {"tests.fake_jobs.echo": Doubled()})
    assert "(2 characters) twice: 84, of sync_devices" in page_of(viewer, job_row(result="42"))
    assert "(5 characters) odd" in page_of(viewer, job_row(result='"odd"'))
    # A view that fails, and one whose template can't be shown, harm no page.
    assert "(6 characters) [ 1, 2 ]" in page_of(viewer, job_row(result="[1, 2]"))
    assert "(2 characters) 43" in page_of(viewer, job_row(result="43"))
    assert "(2 characters) 42" in page_of(viewer, job_row(result="42", task_name="tests.fake_jobs.nothing"))


@pytest.mark.parametrize(
    "result",
    [
        '"just text\\nof two lines"',
        "[1, 2]",
        "{}",
        '{"message": "7"}',
        '{"devices": [1]}',
        '{"devices": {"a": {"job_tasks": 7}}}',
        '{"devices": {"a": {"job_tasks": [{}]}}}',
        '{"devices": {"a": {"job_tasks": [{"diff": 7, "failed": 1, "result": {"x": []}, "task_name": null}]}}}',
        "[" * 900 + "]" * 900,
    ],
)
def test_any_result_that_can_be_stored_is_shown(viewer: Admin, result: str) -> None:
    assert "Result" in page_of(viewer, job_row(result=result))


def test_a_result_too_large_to_parse_is_shown_as_its_beginning(viewer: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.admin_pages.job_page.RESULT_PARSED", 100)
    job = job_row(result=json.dumps({"devices": {"d1": "x" * 100}}))
    page = page_of(viewer, job)
    assert '{"devices": {"d1"' in page
    assert "more characters in the whole result" in page


def test_a_job_without_a_result_has_no_page_for_it(viewer: Admin) -> None:
    job = job_in(Status.SCHEDULED)
    assert viewer.client.get(f"/admin/jobs/job/{job.pk}/result/").status_code == 404
    assert "Result" not in page_of(viewer, job)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.042, "0.04 s"),
        (12.34, "12.3 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 05 min"),
        (76 * 3600, "3 d 4 h"),
    ],
)
def test_a_length_of_time_is_shown_in_words(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words
