"""Locks in the admin: who holds what, and clearing one after a warning."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.dispatch import scheduling
from jobs.models import AuditEntry, Job
from jobs.states import Status
from locks.models import Lock
from locks.service import held as held_locks
from tests import fake_jobs
from tests.admin.conftest import VIEWS, Admin, AdminOf
from tests.factory import hold_lock, job_in, job_row

LIST = "/locks/lock/"


def clear_url(lock: Lock) -> str:
    return f"{LIST}clear/?ids={lock.pk}"


def the_lock() -> Lock:
    """Fails if no lock is held."""
    return held_locks().get()


def is_held() -> bool:
    return held_locks().exists()


def test_a_held_lock_shows_its_holder_with_a_link_its_state_and_who_waits(viewer: Admin) -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    scheduling.schedule(fake_jobs.with_lock, {})
    Lock.objects.update(start_time=timezone.now() + timedelta(hours=1))  # by a database whose clock is ahead
    page = viewer.get(LIST)
    assert f"devices job {holder.pk}: with_lock RUNNING" in page
    assert "0 s 1 1" in page  # age, in line, fence
    Lock.objects.update(start_time=timezone.now() - timedelta(minutes=5, seconds=30))
    Job.objects.filter(pk=holder.pk).update(abort_reason="enough")
    page = viewer.get(LIST)
    assert "RUNNING, told to stop" in page
    assert "5 minutes 1 1" in page
    assert f'href="/admin/jobs/job/{holder.pk}/change/"' in viewer.raw(LIST)


def test_free_locks_are_not_listed(viewer: Admin) -> None:
    Lock.objects.create(name="idle", fence=3)
    assert "idle" not in viewer.get(LIST)


def test_a_holder_that_ended_or_is_gone_is_reported(boss: Admin) -> None:
    job = job_row("EXCEPTION", exception_type="WorkerLost")
    hold_lock("first", job.pk)
    hold_lock("second", 987)
    page = boss.get(LIST)
    assert "EXCEPTION" in page
    assert "987, which no longer exists" in page
    assert "The holder has ended" in boss.get(clear_url(Lock.objects.get(name="first")))
    ids = ",".join(str(pk) for pk in Lock.objects.values_list("pk", flat=True))
    page = boss.get(f"{LIST}clear/?ids={ids}")
    assert "Clear 2 locks?" in page
    assert "The holder still runs." not in page


def test_a_long_line_is_not_counted_to_its_end(boss: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locks.admin.COUNTED", 1)
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    scheduling.schedule(fake_jobs.with_lock, {})
    assert "more than" not in boss.get(LIST)
    scheduling.schedule(fake_jobs.with_lock, {})
    assert "more than 1" in boss.get(LIST)


def test_clearing_warns_when_the_holder_still_runs(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    page = boss.get(clear_url(the_lock()))
    assert "The holder still runs." in page
    assert "ends in EXCEPTION, as LockLost" in page
    assert is_held()


def test_confirmed_it_is_cleared_and_written_down(boss: Admin) -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    page = boss.post(clear_url(the_lock()), {"lock": f"{the_lock().fence}:devices"})
    assert f"Lock devices is cleared; job {holder.pk} held it." in page
    assert not is_held()
    entry = AuditEntry.objects.get(action="cleared")
    assert (entry.who, entry.origin, entry.action) == ("boss", "127.0.0.1", "cleared")
    assert (entry.lock_name, entry.job_id) == ("devices", holder.pk)


def test_the_page_carries_the_token_it_showed(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    assert f'name="lock" value="{the_lock().fence}:devices"' in boss.raw(clear_url(the_lock()))


def test_a_lock_that_changed_hands_since_the_question_is_not_cleared(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    Lock.objects.filter(name="devices").update(fence=the_lock().fence + 1, holder_id=99)
    page = boss.post(clear_url(the_lock()), {"lock": f"{the_lock().fence - 1}:devices"})
    assert "was not cleared" in page
    assert the_lock().holder_id == 99
    assert not AuditEntry.objects.filter(action="cleared").exists()


def test_the_action_asks_before_it_clears_a_lock(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    chosen = {"action": "clear_selected", "index": "0", "_selected_action": str(the_lock().pk)}
    assert "Clear lock devices?" in boss.client.post(f"/admin{LIST}", chosen, follow=True).content.decode()
    assert is_held()


def test_a_user_who_may_not_clear_is_offered_nothing_and_refused(viewer: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    assert "lear" not in viewer.get(LIST)
    viewer.get(clear_url(the_lock()), status=403)
    viewer.post(clear_url(the_lock()), {"lock": f"{the_lock().fence}:devices"}, status=403)
    assert is_held()


def test_the_permission_to_clear_is_enough_to_clear(admin_of: AdminOf) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    admin_of(*VIEWS, "locks.clear_lock").post(clear_url(the_lock()), {"lock": f"{the_lock().fence}:devices"})
    assert not is_held()


def test_a_user_who_may_not_see_locks_is_not_shown_one_by_the_question_either(admin_of: AdminOf) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    someone = admin_of("locks.clear_lock")
    someone.get(clear_url(the_lock()), status=403)
    someone.post(clear_url(the_lock()), {"lock": f"{the_lock().fence}:devices"}, status=403)
    assert is_held()


def test_a_form_that_names_no_held_lock_clears_nothing(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    url = clear_url(the_lock())
    boss.post(url, {"lock": "devices"}, status=403)
    assert "was not cleared" in boss.post(url, {"lock": f"{the_lock().fence}:devices\x00"})
    boss.post(url, {"lock": "1"}, status=200)
    boss.post(url, {})
    for ids in ("", "x", "²", "987", "9" * 19, "9" * 40):
        assert "Nothing to clear" in boss.get_redirected(f"{LIST}clear/?ids={ids}")
    assert is_held()


def test_nobody_adds_changes_or_deletes_a_lock(boss: Admin) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    boss.get(f"{LIST}add/", status=403)
    boss.post(f"{LIST}{the_lock().pk}/delete/", {"post": "yes"}, status=403)
    assert is_held()
    assert Job.objects.count() == 1
