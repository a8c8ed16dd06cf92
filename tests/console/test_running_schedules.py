"""A recurring schedule run now from the console: a page that says what will happen, and a form that does it once."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from typing import Any

import pytest
from celery import current_app
from django.db import connections
from django_celery_beat.models import PeriodicTask

from cnaasjobs.conf import conf
from jobs.models import AuditEntry, Job
from tests import fake_jobs
from tests.console.conftest import Person, PersonOf, text_of
from tests.factory import every, job_rows
from tests.factory.broken_schedules import unreadable

SEES = ("jobs.view_job", "django_celery_beat.view_periodictask")
MAY = (*SEES, "jobs.add_job")
ECHO = {"task": fake_jobs.echo.name, "kwargs": '{"value": 7, "dry_run": true}'}


@pytest.fixture
def boss(person_of: PersonOf) -> Person:
    return person_of(*MAY, name="boss")


def address(row: PeriodicTask) -> str:
    return f"/schedules/{row.pk}/run"


def form_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(once|newest)" value="([^"]+)"', page))


def test_it_says_what_will_happen_and_the_form_does_it(boss: Person) -> None:
    row = every(3600, name="nightly & co", queue="bulk", priority=3, enabled=False, **ECHO)
    assert f'href="{address(row)}"' in boss.markup("/schedules")
    page = boss.markup(address(row))
    words = boss.read(address(row))
    assert "Run schedule nightly & co now?" in words
    assert "What echo " in words  # as its jobs are called, not its code
    assert "It is a dry run" in words
    assert '"value": 7' in words
    assert "switched off" in words
    assert not Job.objects.exists()
    after = boss.send(address(row), form_of(page))
    job = Job.objects.get()
    assert f"Scheduled: job {job.pk}, of schedule nightly & co." in after
    assert (job.scheduled_by, job.author_id, job.queue, job.priority) == ("boss", boss.user.pk, "bulk", 3)
    assert job.start_arguments == '{"value": 7, "dry_run": true}'
    assert job.comment == "Schedule nightly & co, run now"
    entry = AuditEntry.objects.get(action="scheduled")
    assert (entry.who, entry.job_id, entry.detail) == ("boss", job.pk, "schedule nightly & co")
    row.refresh_from_db()
    assert (row.enabled, row.last_run_at, row.total_run_count) == (False, None, 0)


def test_that_it_changes_devices_is_reported(boss: Person) -> None:
    live = every(60, name="live", task=fake_jobs.echo.name, kwargs='{"value": 7}')  # by its default no dry run
    assert "This changes devices. It is a live run." in boss.read(address(live))


def test_a_form_that_is_sent_twice_schedules_once(boss: Person) -> None:
    rows = [every(60, name=name, **ECHO) for name in ("one", "other")]
    form = form_of(boss.markup(address(rows[0])))
    first, second = (boss.send(address(rows[0]), form) for _ in range(2))
    assert re.findall(r"Scheduled: job \d+", first) == re.findall(r"Scheduled: job \d+", second)
    assert Job.objects.count() == 1
    boss.send(address(rows[1]), form)
    boss.send(address(rows[0]), form_of(boss.markup(address(rows[0]))))
    assert Job.objects.count() == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_two_people_do_not_run_it_without_knowing_of_each_other(person_of: PersonOf) -> None:
    """Both have the form on their screens. The second one's comes back, with the job of the first."""
    people, gate = [person_of(*MAY, name=name) for name in ("ann", "bob")], threading.Barrier(2)
    row, other = every(60, name="probe", **ECHO), every(60, name="other", **ECHO)
    forms = [form_of(person.markup(address(row))) for person in people]
    people[0].send(address(other), form_of(people[0].markup(address(other))))  # which is another schedule's

    def send(person: Person, form: dict[str, str]) -> tuple[int, str]:
        try:
            gate.wait()
            answer: Any = person.client.post(address(row), form, follow=True)
            return answer.status_code, answer.content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        (first, page), (second, form_again) = sorted(threads.map(send, people, forms), key=itemgetter(0))
    made = Job.objects.get(comment="Schedule probe, run now")
    assert (first, f"Scheduled: job {made.pk}, of schedule probe." in text_of(page)) == (200, True)
    assert (second, made.scheduled_by in ("ann", "bob")) == (409, True)
    words = f"Schedule probe was not run: The same was scheduled by {made.scheduled_by} meanwhile, as job {made.pk}."
    assert words in text_of(form_again)
    late = next(person for person in people if person.user.username != made.scheduled_by)
    assert "Scheduled: job" in late.send(address(row), form_of(form_again))  # now that they know


def test_a_form_without_a_key_schedules_each_time(boss: Person) -> None:
    row = every(60, **ECHO)
    for _ in range(2):
        boss.send(address(row))
    assert Job.objects.count() == 2


def test_only_a_user_who_may_start_jobs_is_offered_the_form_and_may_send_it(person_of: PersonOf) -> None:
    row = every(60, **ECHO)
    for number, permissions in enumerate((SEES, ("jobs.view_job", "jobs.add_job"))):
        person = person_of(*permissions, name=f"person {number}")
        assert address(row) not in person.markup("/schedules")
        person.read(address(row), status=403)
        person.send(address(row), status=403)
    assert not Job.objects.exists()


def test_a_job_with_a_permission_of_its_own_needs_that_too(boss: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    row = every(60, name="probe", **ECHO)
    monkeypatch.setattr(type(current_app.tasks[fake_jobs.echo.name]), "permission", "jobs.abort_job")
    assert "Schedule probe was not run: Missing permission jobs.abort_job" in boss.send(address(row))
    assert not Job.objects.exists()
    assert AuditEntry.objects.filter(action="refused", who="boss").exists()


def test_the_limit_of_waiting_jobs_counts(boss: Person) -> None:
    unset: dict[str, Any] = dict.fromkeys(("start_time", "finish_time", "finished_devices"))
    job_rows(conf.waiting_per_user, status="SCHEDULED", attempt=0, scheduled_by="boss", **unset)
    assert "CNAASJOBS_WAITING_PER_USER" in boss.send(address(every(60, **ECHO)))
    assert Job.objects.count() == conf.waiting_per_user


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"task": "gone.away"}, "gone.away is not a job of this installation"),
        ({"task": "tests.fake_jobs.plain"}, "tests.fake_jobs.plain is not a job of this installation"),
        ({"kwargs": "["}, "they are not JSON"),
        ({"kwargs": '{"value": 1, "no_such": 1}'}, "no_such"),
    ],
)
def test_what_cannot_run_says_why(boss: Person, broken: dict[str, str], words: str) -> None:
    row = every(60, name="probe", **{**ECHO, **broken})
    assert words in boss.read(address(row), status=409)
    assert words in boss.send(address(row))
    assert not Job.objects.exists()
    assert (address(row) in boss.markup("/schedules")) == ("task" not in broken)


def test_one_that_is_gone_or_cannot_be_read_is_reported(boss: Person) -> None:
    row = unreadable()
    assert "never: " in boss.read(f"/schedules/{row.pk}/run", status=409)
    assert f"/schedules/{row.pk}/run" not in boss.markup("/schedules")
    assert "There is no such recurring schedule" in boss.read(f"/schedules/{row.pk + 1}/run", status=404)
    boss.send(f"/schedules/{row.pk + 1}/run", status=404)
