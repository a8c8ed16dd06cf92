"""Recurring schedules: what is saved can start; what cannot is refused, with the reason next to its field."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.models import AuditEntry, Job, ScheduleOwner
from tests import fake_jobs
from tests.admin.conftest import VIEWS, Admin, AdminOf

LIST = "/django_celery_beat/periodictask/"
ADD = f"{LIST}add/"


@pytest.fixture
def interval(db: None) -> IntervalSchedule:
    return IntervalSchedule.objects.create(every=10, period="minutes")


@pytest.fixture
def form(interval: IntervalSchedule) -> dict[str, Any]:
    """A form as it is sent when only the task was chosen."""
    return {
        "name": "probe",
        "enabled": "on",
        "task": "tests.fake_jobs.echo",
        "interval": str(interval.pk),
        "crontab": "",
        "solar": "",
        "clocked": "",
        "kwargs": '{"value": 7}',
        "args": "[]",
        "headers": "{}",
    }


def saved(admin: Admin, form: dict[str, Any], path: str = ADD) -> PeriodicTask:
    page = admin.post(path, form)
    assert "successfully" in page, page
    return PeriodicTask.objects.get(name=form["name"])


def errors(admin: Admin, form: dict[str, Any]) -> dict[str, str]:
    """The errors by field; "" are those beside no field."""
    response: Any = admin.client.post(f"/admin{ADD}", form)
    assert response.status_code == 200
    found = response.context_data["adminform"].form.errors
    body = response.content.decode()
    for name in found:
        if name != "__all__":
            assert re.search(rf'id="id_{name}_error"', body), f"not shown beside {name}"
    assert not PeriodicTask.objects.exists()
    return {name.replace("__all__", ""): " ".join(texts) for name, texts in found.items()}


def test_a_schedule_that_fits_is_saved(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, form)
    assert (row.task, row.kwargs, row.queue, row.priority) == ("tests.fake_jobs.echo", '{"value": 7}', None, None)


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ('{"valeu": 7}', "argument: 'value'"),
        ('{"value": 1, "other": 2}', "got an unexpected keyword argument 'other'"),
        ("{}", "It is called as echo(*, value: Any, dry_run: bool = False)"),
        ("{value: 7}", "This is not JSON"),
        ("[7]", "This must be a JSON object"),
        ('{"value": NaN}', "NaN is not a JSON value"),
        ('{"value": "x\\u0000y"}', "NUL"),
        ("[" * 5000, "This is not JSON"),
        (f'{{"value": {"[" * 600}{"]" * 600}}}', "value is nested deeper than 64 levels"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_beside_their_field(
    boss: Admin, form: dict[str, Any], kwargs: str, says: str
) -> None:
    found = errors(boss, {**form, "kwargs": kwargs})
    assert list(found) == ["kwargs"]
    assert says in found["kwargs"]


def test_a_check_that_fails_is_reported_there_too(
    boss: Admin, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_jobs.echo, "check", lambda **given: given["site"])
    assert "the check of tests.fake_jobs.echo failed with KeyError; the log has" in errors(boss, form)["kwargs"]


def test_positional_arguments_are_bound_by_name(boss: Admin, form: dict[str, Any]) -> None:
    fits = {**form, "task": "tests.fake_jobs.by_position", "args": '["ab", 3]', "kwargs": "{}"}
    assert list(errors(boss, {**fits, "args": '["ab", 3, 4]'})) == ["args"]
    assert list(errors(boss, {**fits, "args": '{"first": "ab"}'})) == ["args"]
    assert list(errors(boss, {**fits, "kwargs": '{"first": "x"}'})) == ["args"]
    assert saved(boss, fits).args == '["ab", 3]'


def test_an_unknown_task_is_refused(boss: Admin, form: dict[str, Any]) -> None:
    found = errors(boss, {**form, "task": "nowhere.nothing"})
    assert found["task"] == "No code of this name is registered here: nowhere.nothing"


@pytest.mark.parametrize(
    ("field", "value"),
    [("headers", '{"a": 1}'), ("exchange", "x"), ("routing_key", "x"), ("expire_seconds", "5"), ("priority", "10")],
)
def test_what_does_not_apply_to_a_job_is_refused(boss: Admin, form: dict[str, Any], field: str, value: str) -> None:
    assert list(errors(boss, {**form, field: value})) == [field]


def test_what_does_not_apply_to_a_job_may_be_given_to_a_plain_task(boss: Admin, form: dict[str, Any]) -> None:
    plain = {
        **form,
        "task": "tests.fake_jobs.plain",
        "kwargs": '{"value": 1}',
        "expire_seconds": "5",
        "priority": "200",
    }
    row = saved(boss, plain)
    assert (row.expire_seconds, row.priority) == (5, 200)


def test_one_schedule_is_needed_and_one_only(boss: Admin, form: dict[str, Any]) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="3")
    assert "must be set" in errors(boss, {**form, "interval": ""})[""]
    assert set(errors(boss, {**form, "crontab": str(crontab.pk)})) == {"interval", "crontab"}


def test_jobs_are_offered_with_how_they_are_called(boss: Admin) -> None:
    body = boss.raw(ADD)
    assert '<optgroup label="Jobs">' in body
    assert '<option value="tests.fake_jobs.echo">' in body
    assert "echo(*, value: Any, dry_run: bool = False)" in body
    assert "Returns at once." in body  # the docstring


def test_the_list_shows_when_it_runs_next(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, form)
    page = boss.get(LIST)
    assert "every 10 minutes" in page
    assert f"{row.date_changed + timedelta(minutes=10):%Y-%m-%d %H:%M:%S}" in page


def test_a_schedule_that_can_never_run_says_so(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, form)
    IntervalSchedule.objects.update(every=0)
    assert "never an interval of 0:00:00" in boss.get(LIST).replace("ValueError: ", "").replace("ScheduleBroken: ", "")
    boss.get(f"{LIST}{row.pk}/change/")


def test_run_now_makes_a_job_with_name_and_audit_entry(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, {**form, "queue": "bulk", "priority": "3"})
    page = boss.post(LIST, {"action": "run_now", "index": "0", "_selected_action": str(row.pk)})
    job = Job.objects.get()
    assert f"Schedule probe: scheduled job {job.pk}" in page
    assert (job.task_name, job.scheduled_by, job.queue, job.priority) == ("tests.fake_jobs.echo", "boss", "bulk", 3)
    assert job.start_arguments == '{"value": 7, "dry_run": false}'
    entry = AuditEntry.objects.get(action="scheduled")
    assert (entry.who, entry.action, entry.job_id, entry.detail) == ("boss", "scheduled", job.pk, "schedule probe")
    row.refresh_from_db()
    assert row.last_run_at is None


def hidden(somebody: Admin) -> dict[str, str]:
    found = dict(re.findall(r'name="(once|newest)" value="([^"]+)"', somebody.raw(LIST)))
    assert len(found) == 2
    return found


def test_of_two_who_run_a_schedule_now_the_second_is_told_of_the_first(
    boss: Admin, admin_of: AdminOf, form: dict[str, Any]
) -> None:
    row = saved(boss, form)
    other = admin_of("jobs.add_job", *_VIEW, name="other")
    first, second = ({"action": "run_now", "_selected_action": str(row.pk), **hidden(each)} for each in (boss, other))
    boss.post(LIST, first)
    job = Job.objects.get()
    words = f"Schedule probe: The same was scheduled by boss meanwhile, as job {job.pk}"
    assert words in other.post(LIST, second)
    assert "scheduled job" in other.post(LIST, {**second, **hidden(other)})


def test_a_form_that_is_sent_twice_schedules_each_once(boss: Admin, form: dict[str, Any]) -> None:
    rows = [saved(boss, {**form, "name": name}) for name in ("probe", "other")]

    def press_twice() -> set[str]:
        sent = {"action": "run_now", "index": "0", "_selected_action": [str(row.pk) for row in rows], **hidden(boss)}
        pages = [boss.post(LIST, sent) for _ in range(2)]
        return {each for page in pages for each in re.findall(r"scheduled job \d+", page)}

    said = press_twice()
    assert Job.objects.count() == len(said) == 2
    assert said.isdisjoint(press_twice())
    assert Job.objects.count() == 4


def test_run_now_of_what_is_no_job_or_no_longer_fits_says_so(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, form)
    for broken in ({"task": "gone.away"}, {"task": "tests.fake_jobs.plain"}, {"kwargs": "{}"}, {"kwargs": "["}):
        PeriodicTask.objects.filter(pk=row.pk).update(**{"task": "tests.fake_jobs.echo", **broken})
        page = boss.post(LIST, {"action": "run_now", "index": "0", "_selected_action": str(row.pk)})
        assert "Schedule probe: " in page
    assert not Job.objects.exists()


def test_actions_need_their_permissions(admin_of: AdminOf, viewer: Admin, form: dict[str, Any]) -> None:
    row = saved(admin_of("django_celery_beat.add_periodictask", "jobs.add_job", *_VIEW, name="author"), form)
    for action in ("run_now", "disable_tasks"):
        viewer.post(LIST, {"action": action, "index": "0", "_selected_action": str(row.pk)})
    row.refresh_from_db()
    assert row.enabled
    assert not Job.objects.exists()
    starter = admin_of("jobs.add_job", *_VIEW, name="starter")
    starter.post(LIST, {"action": "run_now", "index": "0", "_selected_action": str(row.pk)})
    assert Job.objects.count() == 1


_VIEW = (*VIEWS, "django_celery_beat.view_periodictask", "django_celery_beat.view_intervalschedule")


def test_a_user_who_may_only_view_sees_a_schedule_and_changes_nothing(
    boss: Admin, viewer: Admin, form: dict[str, Any]
) -> None:
    row = saved(boss, form)
    path = f"{LIST}{row.pk}/change/"
    assert '{"value": 7}' in viewer.get(path)
    viewer.post(path, {**form, "kwargs": '{"value": 8}'}, status=403)
    viewer.get(ADD, status=403)


def test_the_actions_enable_and_disable_a_schedule(boss: Admin, form: dict[str, Any]) -> None:
    row = saved(boss, form)
    for action, enabled in (("disable_tasks", False), ("enable_tasks", True)):
        boss.post(LIST, {"action": action, "index": "0", "_selected_action": str(row.pk)})
        row.refresh_from_db()
        assert row.enabled is enabled


@pytest.mark.parametrize("task", ["celery.backend_cleanup", "celery.group"])
def test_a_task_of_celerys_own_is_refused(boss: Admin, form: dict[str, Any], task: str) -> None:
    found = errors(boss, {**form, "task": task, "kwargs": "{}"})
    assert "No code of this name is registered here" in found["task"]


@pytest.mark.parametrize(
    ("field", "value"), [("headers", '{"callbacks": []}'), ("exchange", "x"), ("routing_key", "celery.pidbox")]
)
def test_a_schedule_may_not_steer_the_broker(boss: Admin, form: dict[str, Any], field: str, value: str) -> None:
    plain = {**form, "task": "tests.fake_jobs.plain", "kwargs": '{"value": 1}', field: value}
    assert "may not set broker options" in errors(boss, plain)[field]


def test_whoever_saves_it_owns_it_and_must_be_able_to_start_it(
    admin_of: AdminOf, boss: Admin, form: dict[str, Any]
) -> None:
    rights = tuple(f"django_celery_beat.{verb}_periodictask" for verb in ("add", "change", "view"))
    weak, strong = admin_of(*rights, name="weak"), admin_of(*rights, "jobs.add_job", name="strong")
    assert "You may not start it yourself" in errors(weak, form)["task"]
    row = saved(strong, form)
    assert ScheduleOwner.objects.get(schedule_id=row.pk).user == strong.user
    saved(boss, {**form, "description": "mine now"}, f"{LIST}{row.pk}/change/")
    assert ScheduleOwner.objects.get(schedule_id=row.pk).name == boss.user.username


def test_no_schedule_fires_more_often_than_once_a_second(boss: Admin, form: dict[str, Any]) -> None:
    quick = IntervalSchedule.objects.create(every=999_999, period="microseconds")
    assert "more often than once a second" in errors(boss, {**form, "interval": str(quick.pk)})["interval"]
