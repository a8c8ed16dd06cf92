"""The page of locks: who holds each, who waits, and clearing one after a page has asked."""

import re
from urllib.parse import quote, unquote

from jobs.dispatch import scheduling
from jobs.models import AuditEntry
from jobs.search.find import search
from jobs.states import Status
from locks.models import Lock
from locks.service import held
from tests import fake_jobs
from tests.console.conftest import Person, PersonOf
from tests.factory import device_row, hold_lock, job_in, job_row

SEES = ("jobs.view_job", "locks.view_lock")
CLEARS = (*SEES, "locks.clear_lock")
CLEAR = "/locks/clear?name=devices"


def form_of(lock: Lock) -> dict[str, object]:
    return {"name": lock.name, "fence": lock.fence}


def test_a_lock_shows_its_holder_how_far_that_is_and_who_waits(person_of: PersonOf) -> None:
    holder = job_in(Status.RUNNING, task=fake_jobs.with_lock)
    device_row(holder, "a1")
    device_row(holder, "a2", "WAITING")
    waits = scheduling.schedule(fake_jobs.with_lock, {}, scheduled_by="bob")
    viewer = person_of(*SEES)
    page = viewer.read("/locks")
    assert re.search(rf"with_lock #{holder.pk} \d\d-\d\d \d\d:\d\d:\d\d \d+\.\d+ s 1/2", page)
    assert f"with_lock #{waits.pk} by bob" in page
    assert "Clear…" not in page
    markup = viewer.markup("/locks")
    assert f'href="/jobs/{holder.pk}"' in markup
    assert f'href="/jobs/{waits.pk}"' in markup


def test_a_locks_name_leads_to_its_jobs_whatever_it_is(person_of: PersonOf) -> None:
    holder = job_row("RUNNING", lock_name='odd, "name" 100%')
    hold_lock('odd, "name" 100%', holder)
    (asked,) = re.findall(r'href="/jobs\?q=([^"]+)"', person_of(*SEES).markup("/locks"))
    assert search(unquote(asked), size=9).jobs == [holder]


def test_free_locks_are_not_listed(person_of: PersonOf) -> None:
    Lock.objects.create(name="idle", fence=3)
    assert "No lock is held" in person_of(*SEES).read("/locks")


def test_a_holder_that_ended_or_is_gone_is_reported(person_of: PersonOf) -> None:
    hold_lock("first", job_row("EXCEPTION", exception_type="WorkerLost"))
    hold_lock("second", 987)
    page = person_of(*SEES).read("/locks")
    assert "has ended; the lock is freed in a moment" in page
    assert "job 987, which no longer exists" in page


def test_a_lock_leads_to_its_jobs_whatever_its_name(person_of: PersonOf) -> None:
    hold_lock("two words", job_row("RUNNING"))
    search = quote('lock:"two words"')
    assert f"?q={search}" in person_of(*SEES).markup("/locks")


def test_clearing_asks_first_and_warns_while_the_holder_runs(person_of: PersonOf) -> None:
    job_in(Status.RUNNING, task=fake_jobs.with_lock)
    waits = scheduling.schedule(fake_jobs.with_lock, {})
    page = person_of(*CLEARS).read(CLEAR)
    assert re.search(r"has held it since \S+ \S+ UTC , for \d+\.\d+ s\.", page)
    assert "That job is still running." in page
    assert f"1 in line; next is with_lock #{waits.pk}" in page
    assert held().exists()


def test_confirmed_it_is_cleared_and_written_down(person_of: PersonOf) -> None:
    lock = hold_lock("devices", job_row("FINISHED"))
    page = person_of(*CLEARS, name="ann").send("/locks/clear", form_of(lock))
    assert "Lock devices is cleared" in page
    assert not held().exists()
    entry = AuditEntry.objects.get(action="cleared")
    assert (entry.who, entry.lock_name) == ("ann", "devices")


def test_a_lock_that_changed_hands_meanwhile_is_not_cleared(person_of: PersonOf) -> None:
    lock = hold_lock("devices", job_row("FINISHED"))
    person = person_of(*CLEARS)
    for fence in (lock.fence - 1, "", "x", "²", "9" * 30, "9" * 5000):
        assert "was not cleared" in person.send("/locks/clear", {"name": "devices", "fence": fence})
    assert "was not cleared" in person.send("/locks/clear", {"name": "a\0", "fence": 7})
    assert held().exists()


def test_a_free_lock_has_nothing_to_clear(person_of: PersonOf) -> None:
    person = person_of(*CLEARS)
    assert "Nobody holds a lock devices" in person.read(CLEAR, status=404)
    scheduling.schedule(fake_jobs.with_lock, {})  # who waits for it does not hold it
    assert "Nobody holds a lock devices" in person.read(CLEAR, status=404)
    assert f"Nobody holds a lock {'x' * 32}." in person.read(f"/locks/clear?name={'x' * 99}", status=404)
    assert "The address names no lock" in person.read("/locks/clear", status=404)


def test_only_a_user_who_may_clear_a_lock_gets_there(person_of: PersonOf) -> None:
    lock = hold_lock("devices", job_row("FINISHED"))
    viewer: Person = person_of(*SEES)
    viewer.read(CLEAR, status=403)
    viewer.send("/locks/clear", form_of(lock), status=403)
    assert held().exists()
    person_of("jobs.view_job", name="other").read("/locks", status=403)
