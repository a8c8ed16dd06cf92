"""What one client may ask for at once, and how often it may fail."""

import json
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.test import Client
from knox.models import AuthToken

from cnaasjobs.api import throttle
from jobs.models import AuditEntry, Job
from jobs.testing import exception_of, perform_job
from tests import fake_jobs
from tests.api.conftest import Api
from tests.factory import job_row

pytestmark = pytest.mark.django_db


def test_wrong_tokens_are_throttled_by_address_before_the_database_is_asked(
    settings: Any, django_assert_num_queries: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    wrong = Client(headers={"Authorization": f"Bearer {'0' * 64}", "Host": "localhost"})
    for _ in range(throttle.TOKENS.amount):
        assert wrong.get("/api/v1.0/jobs").status_code == 401
    with django_assert_num_queries(0):
        answer = wrong.get("/api/v1.0/jobs")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert wrong.get("/api/v1.0/jobs", REMOTE_ADDR="10.0.0.9").status_code == 401
    said = [record for record in caplog.records if getattr(record, "action", "") == "credentials_refused"]
    assert [getattr(record, "address", "") for record in said] == ["127.0.0.1", "10.0.0.9"]
    assert "0" * 64 not in caplog.text


def test_a_user_who_shares_an_address_with_one_who_guesses_goes_on_working(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    row, text = AuthToken.objects.create(User.objects.create_superuser("ann"))
    ann = Client(headers={"Authorization": f"Bearer {text}", "Host": "localhost"})
    new = Client(headers={"Authorization": f"Bearer {AuthToken.objects.create(row.user)[1]}", "Host": "localhost"})
    wrong = Client(headers={"Authorization": f"Bearer {'0' * 64}", "Host": "localhost"})
    assert ann.get("/api/v1.0/jobs").status_code == 200
    for _ in range(throttle.TOKENS.amount + 1):
        wrong.get("/api/v1.0/jobs")
    assert wrong.get("/api/v1.0/jobs").status_code == 429
    assert ann.get("/api/v1.0/jobs").status_code == 200
    assert new.get("/api/v1.0/jobs").status_code == 429, "it has not been seen here"
    row.delete()
    assert ann.get("/api/v1.0/jobs").status_code == 401
    assert ann.get("/api/v1.0/jobs").status_code == 429


def test_wrong_logins_are_throttled_by_name_and_the_form_says_what_it_always_says(caplog: Any) -> None:
    User.objects.create_user("ann", password="correct horse", is_staff=True)
    browser = Client(headers={"Host": "localhost"})

    def log_in(password: str, address: str) -> bool:
        form = {"username": "ann", "password": password}
        return browser.post("/admin/login/", form, REMOTE_ADDR=address).status_code == 302

    for number in range(throttle.LOGINS_OF_A_NAME.amount):
        assert not log_in("wrong", f"10.0.0.{number}")
    assert not log_in("correct horse", "10.0.1.1")
    throttle.forget()
    assert log_in("correct horse", "10.0.1.1")


@pytest.mark.parametrize("page", ["/sign-in", "/admin/login/"])
def test_logins_that_nobody_looked_at_fill_no_table(page: str) -> None:
    browser = Client(headers={"Host": "localhost"})
    for _ in range(throttle.LOGINS.amount + 5):
        browser.post(page, {"username": "ann", "password": "wrong"})
    assert AuditEntry.objects.count() == throttle.LOGINS_OF_A_NAME.amount
    with throttle.hashing(), throttle.hashing():
        browser.post(page, {"username": "bob", "password": "wrong"}, REMOTE_ADDR="10.0.0.1")
    assert AuditEntry.objects.count() == throttle.LOGINS_OF_A_NAME.amount


def test_a_network_of_ipv6_is_one_address(settings: Any) -> None:
    """Its owner may take another of 2⁶⁴ for each attempt."""
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    wrong = Client(headers={"Authorization": f"Bearer {'0' * 64}", "Host": "localhost"})
    for number in range(throttle.TOKENS.amount):
        assert wrong.get("/api/v1.0/jobs", REMOTE_ADDR=f"2001:db8::{number:x}").status_code == 401
    assert wrong.get("/api/v1.0/jobs", REMOTE_ADDR="2001:db8::ffff").status_code == 429
    assert wrong.get("/api/v1.0/jobs", REMOTE_ADDR="2001:db8:0:1::1").status_code == 401


def test_only_so_many_passwords_are_tried_at_once() -> None:
    User.objects.create_user("ann", password="correct horse")
    client = Client()
    with throttle.hashing(), throttle.hashing():
        assert not client.login(username="ann", password="correct horse")
    assert client.login(username="ann", password="correct horse")


def test_guessing_without_a_request_is_stopped_too() -> None:
    for _ in range(throttle.LOGINS_OF_A_NAME.amount):
        assert authenticate(username="ann", password="wrong") is None
    User.objects.create_user("ann", password="correct horse")
    assert authenticate(username="ann", password="correct horse") is None


def test_what_was_logged_of_addresses_is_not_kept_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"login 2001:db8::{number:x}": (0.0, 1) for number in range(10_001)}
    monkeypatch.setattr(throttle, "_logged", many)
    throttle.failed("login", throttle.LOGINS, "login", "10.0.0.1", address="10.0.0.1")
    assert [*many] == ["login 10.0.0.1"]


@pytest.mark.devices
def test_a_user_has_room_for_only_so_many_waiting_jobs(api: Api, settings: Any) -> None:
    settings.CNAASJOBS_WAITING_PER_USER = 2
    later = {"all": True, "start_at": "2099-01-01 00:00:00"}
    assert [api.post("/device_syncto", later).status for _ in range(3)] == [200, 200, 429]
    Job.objects.update(scheduled_by="somebody else")
    assert api.post("/device_syncto", later).status == 200


@pytest.mark.devices
@pytest.mark.parametrize("open_with", ["[", '{"a":'])
def test_a_body_may_have_only_so_many_levels(api: Api, open_with: str) -> None:
    for depth, words in ((253, "nested deeper than 64"), (1023, "nested deeper than 64")):
        body = '{"hostname": ' + open_with * depth + "1" + ("]" if open_with == "[" else "}") * depth + "}"
        reply = api.post("/device_syncto", raw=body.encode(), headers={"Idempotency-Key": "k"})
        assert (reply.status, words in reply.message) == (400, True)
    text = json.dumps({"hostname": "[" * 1000 + '"\\'})
    assert "No device with hostname" in api.post("/device_syncto", raw=text.encode()).message


@pytest.mark.devices
@pytest.mark.parametrize("end", [b"", b"\\", b'"', b'\\"'])
def test_a_body_is_looked_through_once(api: Api, end: bytes) -> None:
    """A string that does not end: if each quotation mark in it were tried as a beginning, this would take an hour."""
    reply = api.post("/device_syncto", raw=b"[" * 65 + b'"' + b'\\"' * 1_000_000 + end)
    assert reply.status == 400
    assert "nested deeper" in reply.message


def test_contains_is_asked_three_times_at_most(api: Api) -> None:
    three = "&".join(f"filter[{field}][contains]=x" for field in ("comment", "ticket_ref", "function_name"))
    assert api.get(f"/jobs?{three}").status == 200
    assert "more than 3 filters with contains" in api.get(f"/jobs?{three}&filter[scheduled_by][contains]=x").message


@pytest.mark.devices
def test_a_page_has_room_for_so_much_and_names_what_is_left_out(api: Api, settings: Any) -> None:
    settings.CNAASJOBS_PAGE_MAX_MB = 0.15
    jobs = [job_row("FINISHED", result=json.dumps("x" * 100_000)) for _ in range(3)]
    shown = [job["result"] for job in api.get("/jobs").data["jobs"]]
    assert [isinstance(result, str) for result in shown] == [True, False, False]
    assert shown[1] == {"message": f"This result of 0.1 MB does not fit into the page: GET /job/{jobs[1].pk} has it"}
    filtered = [job["result"] for job in api.get("/jobs?filter_jobresult=diff").data["jobs"]]
    assert filtered == shown
    assert api.get(f"/job/{jobs[1].pk}").data["jobs"][0]["result"] == "x" * 100_000


@pytest.mark.django_db(transaction=True)
def test_a_result_has_a_maximum(settings: Any) -> None:
    settings.CNAASJOBS_RESULT_MAX_MB = 0.01
    job = perform_job(fake_jobs.echo, value="x" * 20_000)
    assert (job.status, job.exception_type) == ("EXCEPTION", "ResultNotStorable")
    assert "more than CNAASJOBS_RESULT_MAX_MB (0.01)" in (exception_of(job) or {})["message"]


def test_answers_are_not_kept_and_show_nothing_of_others(api: Api) -> None:
    for path in ("/jobs", "/nowhere"):
        headers = api.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_an_api_without_tokens_answers_this_machine_only() -> None:
    client = Client(headers={"Host": "localhost"})
    assert client.get("/api/v1.0/jobs").status_code == 200
    assert client.get("/api/v1.0/jobs", REMOTE_ADDR="::1").status_code == 200
    refused = client.get("/api/v1.0/jobs", REMOTE_ADDR="192.0.2.7")
    assert (refused.status_code, "asks for no token" in refused.json()["message"]) == (403, True)
