"""Pages that show only a message: each links to somewhere, and its words are in the right order."""

import pytest

from tests.console.conftest import Person, PersonOf, text_of
from tests.factory import device_row, job_row

pytestmark = pytest.mark.django_db


def test_what_can_not_be_done_leads_back_to_its_job(ann: Person) -> None:
    job = job_row("RUNNING")
    page = ann.markup(f"/jobs/{job.pk}/run/again", status=409)
    assert f'<a class="button" href="/jobs/{job.pk}">Back</a>' in page


def test_a_device_that_a_job_does_not_have_leads_back_to_the_job(viewer: Person) -> None:
    job = job_row("FINISHED")
    assert f'href="/jobs/{job.pk}">Back' in viewer.markup(f"/jobs/{job.pk}/devices/nobody", status=404)


def test_a_user_who_may_not_see_a_page_can_sign_in_as_somebody_else(person_of: PersonOf) -> None:
    nobody = person_of()
    page = nobody.markup("/jobs", status=403)
    assert 'action="/sign-out"' in page
    assert "Sign in as somebody else" in page
    assert "Password" in nobody.send("/sign-out")
    assert "_auth_user_id" not in nobody.client.session


def test_a_name_that_turns_text_around_turns_no_sentence_around(viewer: Person) -> None:
    job = job_row("FINISHED")
    page = viewer.markup(f"/jobs/{job.pk}/devices/sw1\u202egnp", status=404)
    assert "\u202e" not in page
    assert f"Job {job.pk} has no device sw1\ufffdgnp." in text_of(page)


def test_why_several_devices_failed_is_reported_once_and_leads_to_them(viewer: Person) -> None:
    job = job_row("FINISHED")
    for number in range(7):
        reason = "ConnectionException: no route" if number < 4 else "AuthenticationException: refused"
        device_row(job, f"sw{number}", failed=True, reason=reason if number < 6 else "only this one")
    device_row(job, "sw8")
    page = viewer.markup(f"/jobs/{job.pk}")
    (_, _, reasons) = page.partition('id="reasons">')
    assert text_of(reasons.partition("</ul>")[0]) == (
        "4 devices : ConnectionException: no route 2 devices : AuthenticationException: refused"
    )
    assert 'href="?device=ConnectionException%3A+no+route&amp;only=failed#devices"' in page
    found = viewer.read(f"/jobs/{job.pk}?device=ConnectionException%3A+no+route&only=failed")
    assert "sw3" in found
    assert "sw4" not in found


def test_reasons_that_differ_in_the_name_of_the_device_are_one(viewer: Person) -> None:
    job = job_row("FINISHED")
    for name in ("sw1", "sw2"):
        device_row(job, name, failed=True, reason=f"no route to {name}")
    page = viewer.markup(f"/jobs/{job.pk}")
    assert '<a href="?device=no+route+to&amp;only=failed#devices">2 devices</a>: <bdi>no route to …</bdi>' in page


def test_reasons_that_differ_are_not_listed(viewer: Person) -> None:
    job = job_row("FINISHED")
    for name in ("sw1", "sw2"):
        device_row(job, name, failed=True, reason=f"no route to {name[::-1]}")
    assert 'id="reasons"' not in viewer.markup(f"/jobs/{job.pk}")
